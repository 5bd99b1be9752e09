//! What the refusals of rooms mean to a client.

use http::StatusCode;
use ruma::api::error::ErrorKind;
use vestibule_http::MatrixError;
use vestibule_rooms::{
    AppendError, AskError, CreateRoomError, DirectoryError, ElsewhereError, ForgetError, GuardNote,
    IdentityError, MembershipError, ReadError, SendError, UpgradeRoomError,
};

use crate::failure;

pub(crate) fn ask(error: AskError) -> MatrixError {
    match error {
        AskError::Denied(denial) => denial.into(),
        AskError::Storage(cause) => failure::storage(cause),
    }
}

pub(crate) fn append(error: AppendError) -> MatrixError {
    let message = error.to_string();
    match error {
        // Whether a room exists is not told to those who are not in it.
        AppendError::UnknownRoom(_) => MatrixError::forbidden("you are not in this room"),
        AppendError::Forbidden(_) => MatrixError::forbidden(message),
        AppendError::TooLarge => MatrixError::too_large(message),
        AppendError::BadContent(_) => MatrixError::bad_json(message),
        AppendError::NotRecommended(error) => not_recommended(error),
        AppendError::PermitMismatch(mismatch) => vestibule_policy::Denial::from(mismatch).into(),
        AppendError::Storage(cause) => failure::storage(cause),
    }
}

pub(crate) fn membership(error: MembershipError) -> MatrixError {
    let message = error.to_string();
    match error {
        MembershipError::UnknownRoom(_) => MatrixError::not_found(message),
        MembershipError::Ask(error) => ask(error),
        MembershipError::Append(error) => append(error),
        MembershipError::WrongMembership(_)
        | MembershipError::NotAllowedIn
        | MembershipError::Unproven(_) => MatrixError::forbidden(message),
        MembershipError::BadState(_) => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::BadState, message)
        }
        MembershipError::LastAdmin => MatrixError::forbidden(message).with_reason("last_admin"),
        MembershipError::ServerNotices => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::CannotLeaveServerNoticeRoom, message)
        }
        MembershipError::InviteBlocked => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::InviteBlocked, message)
        }
        MembershipError::Invalid(_) => MatrixError::invalid_param(message),
        MembershipError::Elsewhere(error) => elsewhere(error),
        MembershipError::Identity(error) => identity(error),
    }
}

/// What an identity server says of its own token is not about the client's token here.
fn identity(error: IdentityError) -> MatrixError {
    let message = error.to_string();
    match error {
        IdentityError::Untrusted => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::ServerNotTrusted, message)
        }
        IdentityError::Unreachable | IdentityError::BadAnswer(_) => {
            MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, message)
        }
        IdentityError::Refused { errcode, .. } => match errcode.as_str() {
            "" | "M_UNAUTHORIZED" | "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" => {
                MatrixError::forbidden(message)
            }
            _ => MatrixError::forbidden(message).with("errcode", errcode),
        },
    }
}

/// What a policy server answers is passed on word for word (server-server API, "Validating Policy
/// Server signatures"), but for what would be about the client's own session.
fn not_recommended(error: ElsewhereError) -> MatrixError {
    let ElsewhereError::Refused { status, errcode, message } = error else {
        return elsewhere(error);
    };
    match StatusCode::from_u16(status) {
        Ok(StatusCode::UNAUTHORIZED) | Err(_) => MatrixError::forbidden(message),
        Ok(status) => {
            MatrixError::new(status, ErrorKind::Unknown, message).with("errcode", errcode)
        }
    }
}

/// What other servers answer is passed on where it is about the client's own request.
pub(crate) fn elsewhere(error: ElsewhereError) -> MatrixError {
    let bad_gateway =
        |message| MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, message);
    let message = error.to_string();
    match error {
        ElsewhereError::Alone => MatrixError::not_found(message),
        ElsewhereError::Unreachable | ElsewhereError::BadAnswer(_) => bad_gateway(message),
        ElsewhereError::UnknownVersion(version) | ElsewhereError::UnknownVersionThere(version) => {
            let errcode = "M_INCOMPATIBLE_ROOM_VERSION";
            MatrixError::custom(StatusCode::BAD_REQUEST, errcode, message)
                .with("room_version", version)
        }
        ElsewhereError::Refused { status, errcode, .. } => match (status, errcode.as_str()) {
            (_, "M_MISSING_PARAM" | "M_INVALID_PARAM") | (500.., _) => bad_gateway(message),
            (status, _) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                let kind = ErrorKind::Unknown;
                MatrixError::new(status, kind, message).with("errcode", errcode)
            }
        },
    }
}

pub(crate) fn forget(error: ForgetError) -> MatrixError {
    let message = error.to_string();
    match error {
        ForgetError::UnknownRoom(_) => MatrixError::not_found(message),
        ForgetError::StillThere => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message)
        }
        ForgetError::Storage(cause) => failure::storage(cause),
    }
}

pub(crate) fn send(error: SendError) -> MatrixError {
    let message = error.to_string();
    match error {
        SendError::UnknownRoom(_) => MatrixError::forbidden("you are not in this room"),
        SendError::Ask(error) => ask(error),
        SendError::Append(error) => append(error),
        SendError::Membership(error) => membership(error),
        SendError::BadContent(_) => MatrixError::invalid_param(message),
        SendError::Malformed(_) => MatrixError::bad_json(message),
        SendError::DuplicateAnnotation(_) => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::DuplicateAnnotation, message)
        }
        SendError::NoThread => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message)
        }
        SendError::BadAlias(_) => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::BadAlias, message)
        }
        SendError::UnknownEvent => MatrixError::not_found(message),
    }
}

pub(crate) fn directory(error: DirectoryError) -> MatrixError {
    let message = error.to_string();
    match error {
        DirectoryError::Taken => {
            MatrixError::new(StatusCode::CONFLICT, ErrorKind::Unknown, message)
        }
        DirectoryError::UnknownAlias | DirectoryError::UnknownRoom(_) | DirectoryError::Foreign => {
            MatrixError::not_found(message)
        }
        DirectoryError::TooManyAliases | DirectoryError::Powerless(_) => {
            MatrixError::forbidden(message)
        }
        DirectoryError::TooLong => MatrixError::invalid_param(message),
        DirectoryError::Ask(error) => ask(error),
        DirectoryError::Elsewhere(error) => elsewhere(error),
    }
}

pub(crate) fn create_room(error: CreateRoomError) -> MatrixError {
    let message = error.to_string();
    let bad_request = |kind| MatrixError::new(StatusCode::BAD_REQUEST, kind, message.clone());
    match error {
        CreateRoomError::Version(_) => bad_request(ErrorKind::UnsupportedRoomVersion),
        CreateRoomError::Ask(error) => ask(error),
        CreateRoomError::Alias(DirectoryError::Taken) | CreateRoomError::SameMoment => {
            bad_request(ErrorKind::RoomInUse)
        }
        CreateRoomError::Alias(error) => directory(error),
        CreateRoomError::AliasElsewhere(_) => bad_request(ErrorKind::BadAlias),
        CreateRoomError::BadCreation(_) => bad_request(ErrorKind::BadJson),
        CreateRoomError::BadAlias | CreateRoomError::TooMany(_) => {
            bad_request(ErrorKind::InvalidParam)
        }
        CreateRoomError::InvalidState(_) => bad_request(ErrorKind::InvalidRoomState),
        CreateRoomError::Invite(error) => membership(error),
        CreateRoomError::Append(error) => append(error),
    }
}

pub(crate) fn read(error: ReadError) -> MatrixError {
    let message = error.to_string();
    match error {
        ReadError::NotMember | ReadError::Hidden | ReadError::Unseen => {
            MatrixError::forbidden(message)
        }
        ReadError::NotFound => MatrixError::not_found(message),
        ReadError::BadToken(_) => MatrixError::invalid_param(message),
        ReadError::Ask(error) => ask(error),
    }
}

pub(crate) fn upgrade(error: UpgradeRoomError) -> MatrixError {
    let message = error.to_string();
    match error {
        UpgradeRoomError::Version(_) => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::UnsupportedRoomVersion, message)
        }
        UpgradeRoomError::UnknownRoom(_) => MatrixError::not_found(message),
        UpgradeRoomError::Ask(error) => ask(error),
        UpgradeRoomError::Create(error) => create_room(error),
        UpgradeRoomError::Append(error) => append(error),
        UpgradeRoomError::Alias(error) => directory(error),
        UpgradeRoomError::Ban(error) => membership(error),
    }
}

/// What the guard of a room's last admin says to somebody who went on.
pub(crate) fn guard_note(note: GuardNote) -> Option<&'static str> {
    match note {
        GuardNote::None => None,
        GuardNote::NobodyLeft => Some("nobody in the room can change its power levels any more"),
    }
}
