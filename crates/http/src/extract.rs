//! Path and query arguments of endpoints whose body has to be kept as it came.

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::{MatrixError, message::bad_parameter};

/// The arguments in the path, in their order.
#[derive(Debug)]
pub struct PathArgs<T>(pub T);

/// The arguments of the query.
#[derive(Debug)]
pub struct QueryArgs<T>(pub T);

impl<T, S> FromRequestParts<S> for PathArgs<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, MatrixError> {
        let Path(args) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error| MatrixError::invalid_param(error.body_text()))?;
        Ok(Self(args))
    }
}

impl<T, S> FromRequestParts<S> for QueryArgs<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, MatrixError> {
        let Query(args) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error| bad_parameter(&error.body_text()))?;
        Ok(Self(args))
    }
}
