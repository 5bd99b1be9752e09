//! How other servers are reached.

pub(crate) mod destinations;
pub(crate) mod retry;
pub(crate) mod test;

use ruma::OwnedServerName;
use vestibule_http::MatrixError;

fn server(name: String) -> Result<OwnedServerName, MatrixError> {
    name.try_into().map_err(|_| MatrixError::invalid_param("not a server name"))
}
