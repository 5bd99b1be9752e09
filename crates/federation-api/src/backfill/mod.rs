//! What came before events a server has.

mod get_backfill;

use ruma::api::federation::backfill;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes.mount::<backfill::get_backfill::v1::Request, _>(Usual, get_backfill::handle)
}
