use std::sync::Arc;

use ruma::server_name;
use vestibule_storage::{
    CommitMode, Durability, InlineExecutor, MemoryEngine, StorageError, StoreOptions,
    tables::meta::StoredServer,
};

use super::*;

fn store(engine: &MemoryEngine) -> Store {
    let options = StoreOptions {
        slots: 1,
        durability: Durability::Os,
        commit: CommitMode::Inline,
        executor: Arc::new(InlineExecutor),
    };
    Store::open(engine.clone(), options).unwrap()
}

async fn put_format(store: &Store, format: u64) {
    store.write(SlotNo(0), move |tx| FORMAT_VERSION.put(tx, (0_u8,), &format)).await.unwrap();
}

async fn server_of(store: &Store) -> Option<StoredServer> {
    store.read::<_, StorageError, _>(|snapshot| SERVER.get(snapshot, (0_u8,))).await.unwrap()
}

#[tokio::test]
async fn an_empty_database_becomes_this_servers_and_stays_as_it_is() {
    let store = store(&MemoryEngine::new(1));
    let name = server_name!("example.org");
    assert_eq!(run(&store, name, 7).await.unwrap(), [1]);
    assert_eq!(run(&store, name, 8).await.unwrap(), [0_u64; 0]);
    let server = server_of(&store).await.unwrap();
    assert_eq!(server, StoredServer { name: name.to_owned(), created_at: 7 });
}

#[tokio::test]
async fn another_server_name_is_refused() {
    let store = store(&MemoryEngine::new(1));
    run(&store, server_name!("example.org"), 7).await.unwrap();
    let error = run(&store, server_name!("example.com"), 7).await.unwrap_err();
    assert!(matches!(error, MigrationError::OtherServer { .. }));
    assert!(error.to_string().contains("`example.org`"), "{error}");
    assert!(error.to_string().contains("`[server] name`"), "{error}");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let store = store(&MemoryEngine::new(1));
    put_format(&store, newest_format() + 1).await;
    let error = run(&store, server_name!("example.org"), 7).await.unwrap_err();
    assert!(matches!(error, MigrationError::UnknownFormat { found: 2, newest: 1 }), "{error}");
    assert_eq!(server_of(&store).await, None);
}

#[tokio::test]
async fn a_database_with_rows_but_without_a_format_is_refused() {
    let store = store(&MemoryEngine::new(1));
    store
        .write(SlotNo(0), |tx| {
            SERVER.put(
                tx,
                (0_u8,),
                &StoredServer { name: server_name!("example.org").to_owned(), created_at: 1 },
            )
        })
        .await
        .map_err(|error: StorageError| error)
        .unwrap();
    let error = run(&store, server_name!("example.org"), 7).await.unwrap_err();
    assert!(matches!(error, MigrationError::NotOurs), "{error}");
}

#[tokio::test]
async fn an_interrupted_step_goes_on_where_it_stopped() {
    static COUNTS_TO_THREE: Step = Step {
        number: 1,
        name: "counts_to_three",
        run: |_, _, from| match from {
            None => Ok(Progress::More(vec![1])),
            Some([3]) => Ok(Progress::Done),
            Some(from) => Ok(Progress::More(vec![from[0] + 1])),
        },
    };
    let engine = MemoryEngine::new(1);
    let context = || Context::new(server_name!("example.org"), 7);
    for through in [false, false] {
        assert_eq!(advance(&store(&engine), &COUNTS_TO_THREE, context()).await.unwrap(), through);
    }
    // The server dies here; the next one finds the cursor at two.
    let store = store(&engine);
    assert!(!advance(&store, &COUNTS_TO_THREE, context()).await.unwrap());
    assert!(advance(&store, &COUNTS_TO_THREE, context()).await.unwrap());
    assert_eq!(run(&store, server_name!("example.org"), 7).await.unwrap(), [0_u64; 0]);
}

#[test]
fn steps_are_numbered_without_gaps_and_named_after_their_files() {
    for (step, number) in STEPS.iter().zip(1..) {
        assert_eq!(step.number, number);
        assert!(step.name.starts_with(&format!("m{number:04}_")), "{}", step.name);
    }
}
