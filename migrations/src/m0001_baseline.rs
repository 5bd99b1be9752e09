//! Format 1: the first. Writes down whose database this is.

use vestibule_storage::{
    Tx,
    tables::meta::{SERVER, StoredServer},
};

use crate::{
    MigrationError,
    step::{Context, Progress},
};

pub(crate) fn run(
    tx: &mut Tx<'_>,
    context: &Context,
    _from: Option<&[u8]>,
) -> Result<Progress, MigrationError> {
    let server = StoredServer { name: context.server_name.clone(), created_at: context.now_ms };
    SERVER.put(tx, (0_u8,), &server)?;
    Ok(Progress::Done)
}
