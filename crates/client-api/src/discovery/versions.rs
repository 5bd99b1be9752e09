//! `GET /_matrix/client/versions`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions>

use ruma::api::client::discovery::get_supported_versions::Response;
use vestibule_http::Outgoing;

/// The versions this server claims; decision records 0003 and 0014 say by which rule.
pub const CLAIMED_VERSIONS: &[&str] = &[
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11",
    "v1.12", "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// Features that are not in the specification, and features by the names they had before they were, for
/// clients that still ask for those.
const FEATURES: &[&str] = &[
    "org.matrix.e2e_cross_signing",
    "org.matrix.msc2285.stable",
    "org.matrix.msc3266",
    "org.matrix.msc3266.stable",
    "org.matrix.msc3440.stable",
    "org.matrix.msc3771",
    "org.matrix.msc3814",
    "org.matrix.msc3814.v1",
    "org.matrix.msc3827.stable",
    "org.matrix.msc3981",
    "org.matrix.msc4380.stable",
    "org.matrix.simplified_msc3575",
    "uk.half-shot.msc2666.query_mutual_rooms.stable",
    "uk.tcpip.msc4133",
    "uk.tcpip.msc4133.stable",
];

pub(crate) async fn handle() -> Outgoing<Response> {
    let versions = CLAIMED_VERSIONS.iter().map(|version| (*version).to_owned()).collect();
    let mut response = Response::new(versions);
    response.unstable_features =
        FEATURES.iter().map(|feature| ((*feature).to_owned(), true)).collect();
    Outgoing(response)
}
