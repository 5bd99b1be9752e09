//! What the refusals of memberships mean to a server.

use http::StatusCode;
use ruma::api::error::ErrorKind;
use serde_json::value::RawValue;
use vestibule_events::Pdu;
use vestibule_federation::{BringInviteError, HandInError};
use vestibule_http::{MatrixError, internal, unavailable};
use vestibule_rooms::{AppendError, BeInvitedError, HandshakeError};

use crate::failure;

pub(super) fn hand_in(error: HandInError) -> MatrixError {
    let message = error.to_string();
    match error {
        HandInError::Handshake(error) => handshake(error),
        HandInError::Malformed(_) => MatrixError::bad_json(message),
        HandInError::Forged(_) => MatrixError::forbidden(message),
        HandInError::Unverified(_) => unavailable(&error),
    }
}

pub(crate) fn handshake(error: HandshakeError) -> MatrixError {
    let message = error.to_string();
    let bad_request = |kind| MatrixError::new(StatusCode::BAD_REQUEST, kind, message.clone());
    match error {
        HandshakeError::UnknownRoom => MatrixError::not_found(message),
        HandshakeError::NotTheirUser | HandshakeError::AclDenied | HandshakeError::Forbidden(_) => {
            MatrixError::forbidden(message)
        }
        HandshakeError::IncompatibleVersion(version) => {
            let errcode = "M_INCOMPATIBLE_ROOM_VERSION";
            MatrixError::custom(StatusCode::BAD_REQUEST, errcode, message)
                .with("room_version", version.as_str())
        }
        HandshakeError::UnableToAuthorise => bad_request(ErrorKind::UnableToAuthorizeJoin),
        HandshakeError::UnableToGrant => bad_request(ErrorKind::UnableToGrantJoin),
        HandshakeError::Invalid(_) => MatrixError::invalid_param(message),
        HandshakeError::Append(error) => append(error),
        HandshakeError::Storage(cause) => failure::storage(cause),
    }
}

fn append(error: AppendError) -> MatrixError {
    let message = error.to_string();
    match error {
        AppendError::UnknownRoom(_) => MatrixError::not_found(message),
        AppendError::Forbidden(_)
        | AppendError::PermitMismatch(_)
        | AppendError::NotRecommended(_) => MatrixError::forbidden(message),
        AppendError::TooLarge => MatrixError::too_large(message),
        AppendError::BadContent(_) => MatrixError::bad_json(message),
        AppendError::Storage(cause) => failure::storage(cause),
    }
}

pub(super) fn invite(error: BringInviteError) -> MatrixError {
    let message = error.to_string();
    match error {
        BringInviteError::UnknownVersion(version) => {
            let errcode = "M_INCOMPATIBLE_ROOM_VERSION";
            MatrixError::custom(StatusCode::BAD_REQUEST, errcode, message)
                .with("room_version", version.as_str())
        }
        BringInviteError::Malformed(_) => MatrixError::bad_json(message),
        BringInviteError::Forged(_) => MatrixError::forbidden(message),
        BringInviteError::BadState(_) => MatrixError::invalid_param(message),
        BringInviteError::Unverified(_) => unavailable(&error),
        BringInviteError::Refused(error) => be_invited(error),
    }
}

fn be_invited(error: BeInvitedError) -> MatrixError {
    let message = error.to_string();
    match error {
        BeInvitedError::Invalid(_) => MatrixError::invalid_param(message),
        BeInvitedError::UnknownUser => MatrixError::not_found(message),
        BeInvitedError::AclDenied | BeInvitedError::TooMany | BeInvitedError::Denied(_) => {
            MatrixError::forbidden(message)
        }
        BeInvitedError::Blocked => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::InviteBlocked, message)
        }
        BeInvitedError::Storage(cause) => failure::storage(cause),
    }
}

/// An event as servers send it to each other.
pub(super) fn event(pdu: &Pdu) -> Result<Box<RawValue>, MatrixError> {
    pdu.to_federation_json().map_err(|error| internal(&error))
}
