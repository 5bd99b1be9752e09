//! `POST /_matrix/client/v3/pushers/set`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset>

use axum::extract::State;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_push::{DeletePusher, Push, SetPusher, SetPusherError, ShownPusher};

use crate::failure;

/// The request, read by hand: a client is told which parameters are missing.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    #[serde(default, deserialize_with = "kind")]
    kind: Kind,
    app_id: Option<String>,
    pushkey: Option<String>,
    app_display_name: Option<String>,
    device_display_name: Option<String>,
    profile_tag: Option<String>,
    lang: Option<String>,
    data: Option<Map<String, Value>>,
    #[serde(default)]
    append: bool,
}

/// What kind of pusher; `null` is not the same as nothing at all.
#[derive(Debug, Default)]
enum Kind {
    #[default]
    Missing,
    Null,
    Named(String),
}

/// What is asked for.
enum Wish {
    Set(SetPusher),
    Delete(DeletePusher),
}

#[instrument(name = "client_api.push.set_pusher", skip_all)]
pub(crate) async fn handle(
    State(push): State<Push>,
    Caller(actor): Caller,
    IncomingJson(request): IncomingJson<Request>,
) -> Result<OutgoingJson<Value>, MatrixError> {
    match request.wish()? {
        Wish::Set(command) => push.set_pusher(&actor, command).await.map_err(answer)?,
        Wish::Delete(command) => {
            push.delete_pusher(&actor, command).await.map_err(failure::storage)?;
        }
    }
    Ok(OutgoingJson(json!({})))
}

fn kind<'de, D: Deserializer<'de>>(value: D) -> Result<Kind, D::Error> {
    let kind = Option::<String>::deserialize(value)?;
    Ok(kind.map_or(Kind::Null, Kind::Named))
}

impl Request {
    fn wish(self) -> Result<Wish, MatrixError> {
        let missing: Vec<&str> = [
            ("kind", matches!(self.kind, Kind::Missing)),
            ("app_id", self.app_id.is_none()),
            ("pushkey", self.pushkey.is_none()),
        ]
        .into_iter()
        .chain(self.missing_to_set())
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect();
        if !missing.is_empty() {
            let message = format!("Missing parameters: {}", missing.join(", "));
            return Err(MatrixError::missing_param(message));
        }
        let (app_id, pushkey) = (self.app_id.unwrap_or_default(), self.pushkey.unwrap_or_default());
        match self.kind {
            Kind::Missing | Kind::Null => {
                return Ok(Wish::Delete(DeletePusher { app_id, pushkey }));
            }
            Kind::Named(kind) if kind == "http" => {}
            Kind::Named(_) => {
                return Err(MatrixError::invalid_param("kind must be http or null"));
            }
        }
        let mut data = self.data.unwrap_or_default();
        let Some(Value::String(url)) = data.remove("url") else {
            return Err(MatrixError::missing_param("Missing parameters: data.url"));
        };
        let pusher = ShownPusher {
            app_id,
            pushkey,
            url,
            data: Value::Object(data).to_string(),
            app_display_name: self.app_display_name.unwrap_or_default(),
            device_display_name: self.device_display_name.unwrap_or_default(),
            profile_tag: self.profile_tag,
            lang: self.lang.unwrap_or_default(),
        };
        Ok(Wish::Set(SetPusher { pusher, append: self.append }))
    }

    /// What a pusher needs that is not taken away.
    fn missing_to_set(&self) -> impl Iterator<Item = (&'static str, bool)> + use<> {
        let sets = matches!(self.kind, Kind::Named(_));
        [
            ("app_display_name", sets && self.app_display_name.is_none()),
            ("device_display_name", sets && self.device_display_name.is_none()),
            ("lang", sets && self.lang.is_none()),
            ("data", sets && self.data.is_none()),
        ]
        .into_iter()
    }
}

fn answer(error: SetPusherError) -> MatrixError {
    let message = error.to_string();
    match error {
        SetPusherError::Invalid(_) | SetPusherError::BadGateway => {
            MatrixError::invalid_param(message)
        }
        SetPusherError::TooMany => MatrixError::forbidden(message),
        SetPusherError::Storage(cause) => failure::storage(cause),
    }
}
