//! The policy's refusals as answers.

use std::time::Duration;

use http::StatusCode;
use ruma::api::error::ErrorKind;
use vestibule_policy::{CallRefusal, Denial, DenialKind};

use crate::MatrixError;

impl From<Denial> for MatrixError {
    fn from(denial: Denial) -> Self {
        let status = StatusCode::from_u16(denial.kind.status()).unwrap_or(StatusCode::FORBIDDEN);
        let error = match denial.kind {
            DenialKind::Forbidden => Self::new(status, ErrorKind::Forbidden, denial.message),
            DenialKind::GuestAccessForbidden => {
                Self::new(status, ErrorKind::GuestAccessForbidden, denial.message)
            }
            DenialKind::UserSuspended => {
                Self::new(status, ErrorKind::UserSuspended, denial.message)
            }
            DenialKind::UserLocked => {
                Self::new(status, ErrorKind::UserLocked, denial.message).with("soft_logout", true)
            }
            DenialKind::LimitExceeded => {
                Self::limit_exceeded(Duration::from_millis(denial.retry_after_ms.unwrap_or(1_000)))
                    .with("error", denial.message)
            }
        };
        error.with_reason(denial.reason.code())
    }
}

impl From<CallRefusal> for MatrixError {
    fn from(refusal: CallRefusal) -> Self {
        match refusal {
            CallRefusal::LoginNeeded => Self::missing_token(),
            CallRefusal::Denied(denial) => denial.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vestibule_policy::Reason;

    use super::*;

    fn answer(denial: Denial) -> (u16, String, String) {
        let error = MatrixError::from(denial);
        let reason = error.body().get("org.vestibule.reason").and_then(Value::as_str);
        let reason = reason.unwrap_or_default().to_owned();
        (error.status().as_u16(), error.errcode().unwrap_or_default().to_owned(), reason)
    }

    #[test]
    fn every_reason_becomes_an_answer_with_its_code() {
        for reason in Reason::ALL {
            for towards_guest in [false, true] {
                let denial = Denial::new(*reason, towards_guest, "");
                let expected = (
                    denial.kind.status(),
                    denial.kind.errcode().to_owned(),
                    reason.code().to_owned(),
                );
                assert_eq!(answer(denial), expected);
            }
        }
    }

    #[test]
    fn a_rate_says_when_to_come_back_and_a_lock_that_the_session_stays() {
        let error = MatrixError::from(Denial::limited(2_500));
        assert_eq!(error.body().get("retry_after_ms"), Some(&Value::from(2_500)));
        let error = MatrixError::from(Denial::new(Reason::AccountLocked, false, ""));
        assert_eq!(error.body().get("soft_logout"), Some(&Value::from(true)));
    }
}
