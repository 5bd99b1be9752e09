//! Files that operators withhold, and pictures that move.

use vestibule_testkit::server::{PretendServer, TestServer};

use super::*;

/// Withholds a file, or gives it back.
async fn withhold(server: &TestServer, place: &str, quarantined: bool) {
    let (host, id) = place.split_once('/').unwrap();
    let path = format!("/media/{host}/{id}/quarantine");
    server.operator("PUT", &path, &json!({ "quarantined": quarantined })).await.ok();
}

#[tokio::test]
async fn a_withheld_file_is_given_to_nobody_in_no_form_until_it_is_released() {
    let network = Network::default();
    let on = |name| Blueprint::default().with("[federation]\nenabled = true\n").on(&network, name);
    let (a, b) = (on("a.example").start().await, on("b.example").start().await);
    let peer = PretendServer::on(&network, "c.example");
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let file = image(40, 40);
    let place = place(&upload(alice.http(), "", "image/png", &file).await);
    let id = place.split_once('/').unwrap().1.to_owned();
    let shapes = |place: &str| {
        [
            format!("{DOWNLOAD}/{place}"),
            format!("{DOWNLOAD}/{place}/a.png"),
            format!("{THUMBNAIL}/{place}?width=32&height=32"),
        ]
    };
    let statuses = async |person: &vestibule_testkit::server::Person, place: &str| {
        let mut statuses = Vec::new();
        for path in shapes(place) {
            statuses.push(get(person.http(), &path).await.status);
        }
        statuses
    };
    let abroad = async |id: &str| {
        let download = format!("/_matrix/federation/v1/media/download/{id}");
        let thumbnail = format!("/_matrix/federation/v1/media/thumbnail/{id}?width=32&height=32");
        (peer.get(&a, &download).await.status, peer.get(&a, &thumbnail).await.status)
    };
    assert_eq!(statuses(&alice, &place).await, [200; 3]);
    assert_eq!(statuses(&bob, &place).await, [200; 3], "a copy is made");
    assert_eq!(abroad(&id).await, (200, 200));

    withhold(&a, &place, true).await;
    assert_eq!(statuses(&alice, &place).await, [404; 3]);
    assert_eq!(abroad(&id).await, (404, 404));
    // The same bytes under another id are the same file.
    let again = self::place(&upload(alice.http(), "", "image/png", &file).await);
    assert_eq!(statuses(&alice, &again).await, [404; 3]);
    // What others have is theirs to withhold.
    assert_eq!(statuses(&bob, &place).await, [200; 3]);
    withhold(&b, &place, true).await;
    assert_eq!(statuses(&bob, &place).await, [404; 3]);

    withhold(&a, &place, false).await;
    assert_eq!(statuses(&alice, &place).await, [200; 3]);
    assert_eq!(statuses(&alice, &again).await, [200; 3]);
    // Of another server's, also before anybody asked for it.
    let early = self::place(&upload(alice.http(), "", "text/plain", b"early").await);
    withhold(&b, &early, true).await;
    assert_eq!(get(bob.http(), &format!("{DOWNLOAD}/{early}")).await.status, 404);
    withhold(&b, &early, false).await;
    assert_eq!(get(bob.http(), &format!("{DOWNLOAD}/{early}")).await.status, 200);
    let path = "/media/a.example/never/quarantine";
    let never = a.operator("PUT", path, &json!({ "quarantined": true })).await;
    assert_eq!(never.refusal(), (404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn another_server_asks_for_so_many_files_at_once_and_no_more() {
    let network = Network::default();
    let server = Blueprint::default().with("[federation]\nenabled = true\n");
    let server = server.on(&network, "a.example").start().await;
    let (greedy, other) =
        (PretendServer::on(&network, "c.example"), PretendServer::on(&network, "d.example"));
    let paths = ["download/none", "thumbnail/none?width=32&height=32"];
    let paths = paths.map(|it| format!("/_matrix/federation/v1/media/{it}"));
    for number in 0..600 {
        let asked = greedy.get(&server, &paths[number % 2]).await;
        assert_eq!(asked.status, 404, "{number}");
    }
    // A little comes back meanwhile.
    let mut refused = greedy.get(&server, &paths[0]).await;
    for _ in 0..200 {
        if refused.status == 429 {
            break;
        }
        refused = greedy.get(&server, &paths[1]).await;
    }
    assert_eq!(refused.refusal(), (429, "M_LIMIT_EXCEEDED"));
    assert_eq!(other.get(&server, &paths[0]).await.status, 404);
}

#[tokio::test]
async fn what_moves_moves_only_for_those_who_ask_for_it() {
    use image::{Delay, Frame, RgbaImage, codecs::gif::GifEncoder};
    let server = Blueprint::default().slots(3).start().await;
    let alice = server.register("alice").await;
    let mut gif = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut gif, 30);
    for shade in [0, 100, 200] {
        let picture = RgbaImage::from_pixel(60, 60, image::Rgba([shade, 0, 0, 255]));
        let frame = Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(50, 1));
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    let place = place(&upload(alice.http(), "", "image/gif", &gif).await);
    for (query, content_type, side) in [
        ("width=32&height=32&method=crop&animated=true", "image/gif", 32),
        ("width=32&height=32&method=crop&animated=false", "image/png", 32),
        ("width=32&height=32&method=crop", "image/png", 32),
        ("width=320&height=240&animated=true", "image/gif", 60),
        ("width=320&height=240&animated=false", "image/png", 60),
    ] {
        let got = get(alice.http(), &format!("{THUMBNAIL}/{place}?{query}")).await;
        assert_eq!((got.status, got.header("content-type")), (200, content_type), "{query}");
        let picture = image::load_from_memory(&got.body).unwrap();
        assert_eq!((picture.width(), picture.height()), (side, side), "{query}");
    }
    let odd = format!("{THUMBNAIL}/{place}?width=32&height=32&animated=perhaps");
    assert_eq!(get(alice.http(), &odd).await.status, 400);
}

#[tokio::test]
async fn operators_see_what_somebody_uploaded_in_stretches() {
    let server = Blueprint::default().slots(3).start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut places = Vec::new();
    for text in ["one", "two", "three"] {
        places.push(place(&upload(alice.http(), "", "text/plain", text.as_bytes()).await));
    }
    upload(bob.http(), "", "text/plain", b"his").await;
    let list = async |query: &str| {
        let listed = server.operator("GET", &format!("/media?{query}"), &Value::Null).await.ok();
        let listed = listed["media"].as_array().unwrap().clone();
        listed
            .into_iter()
            .map(|it| {
                assert_eq!(it["content_type"], "text/plain");
                format!("{}/{}", it["server"].as_str().unwrap(), it["media_id"].as_str().unwrap())
            })
            .collect::<Vec<_>>()
    };
    let mut all = list("user=alice").await;
    let first = list("user=alice&limit=2").await;
    assert_eq!(first, all[..2]);
    let behind = first[1].split_once('/').unwrap().1;
    assert_eq!(list(&format!("user=%40alice%3Alocalhost&after_id={behind}")).await, all[2..]);
    all.sort_unstable();
    places.sort_unstable();
    assert_eq!(all, places);
    assert_eq!(list("server=localhost").await.len(), 4);
    assert_eq!(list("user=nobody").await.len(), 0);
    let abroad = server.operator("GET", "/media?user=%40a%3Ab.example", &Value::Null).await;
    assert_eq!(abroad.refusal(), (400, "M_INVALID_PARAM"));
    let member = alice.http().get("/_vestibule/admin/v1/media").await;
    assert_eq!(member.refusal(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn an_image_that_is_too_large_is_told_from_one_that_comes_from_elsewhere() {
    let network = Network::default();
    let on = |name| Blueprint::default().with("[federation]\nenabled = true\n").on(&network, name);
    let (a, b) = (on("a.example").start().await, on("b.example").start().await);
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let place = place(&upload(alice.http(), "", "image/png", &image(1, 16_385)).await);
    let path = format!("{THUMBNAIL}/{place}?width=32&height=32");
    assert_eq!(refusal(&get(alice.http(), &path).await), code(413, "M_TOO_LARGE"));
    assert_eq!(refusal(&get(bob.http(), &path).await), code(502, "M_TOO_LARGE"));
}

#[tokio::test]
async fn a_deleted_file_is_gone_and_so_are_the_files_of_whoever_is_erased() {
    let quota = "[media]\nupload_bytes_max = 2000\nuser_bytes_max = 2048\n";
    let server = Blueprint::default().slots(3).with(quota).start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let file = [7_u8; 1_500];
    let first = place(&upload(alice.http(), "", "text/plain", &file).await);
    let bobs = place(&upload(bob.http(), "", "text/plain", &file).await);
    let full = upload(alice.http(), "", "text/plain", &[8_u8; 1_500]).await;
    assert_ne!(full.status, 200, "the quota is used up");

    let path = format!("/media/{first}");
    let gone = server.operator("DELETE", &path, &json!({})).await.ok();
    assert_eq!(gone["media"], 1);
    assert_eq!(server.operator("DELETE", &path, &json!({})).await.refusal(), (404, "M_NOT_FOUND"));
    let status = async |place: &str| get(bob.http(), &format!("{DOWNLOAD}/{place}")).await.status;
    assert_eq!((status(&first).await, status(&bobs).await), (404, 200), "bob has it still");
    let second = place(&upload(alice.http(), "", "text/plain", &[9_u8; 1_500]).await);
    let listed = server.operator("GET", "/media?user=alice", &json!(null)).await.ok();
    assert_eq!(listed["media"].as_array().unwrap().len(), 1);

    let end = json!({ "erase": true });
    server.operator("POST", "/users/alice/deactivate", &end).await.ok();
    let gone = async || {
        while status(&second).await != 404 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone()).await.unwrap();
    let listed = server.operator("GET", "/media?user=alice", &json!(null)).await.ok();
    assert_eq!(listed["media"], json!([]));
    let all = server.operator("DELETE", "/users/bob/media", &json!({})).await.ok();
    assert_eq!((&all["media"], status(&bobs).await), (&json!(1), 404));
}
