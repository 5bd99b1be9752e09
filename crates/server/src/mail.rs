//! Carrying mail to a mail server.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};
use vestibule_accounts::{Letter, Post, PostError};
use vestibule_config::{Config, EmailTls};
use vestibule_types::{BoxFuture, Environment};

/// How long a mail server may take for each of its answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A way to a mail server. Each mail takes a connection of its own: there are few.
pub(crate) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    server_name: String,
    environment: Environment,
}

impl Smtp {
    /// The way that is configured, if any is.
    pub(crate) fn of(config: &Config, environment: &Environment) -> anyhow::Result<Option<Self>> {
        let email = &config.email;
        let (Some(from), Some(server)) = (&email.from, &email.server) else { return Ok(None) };
        let from = from.parse().context("email.from is no address")?;
        let parameters = || TlsParameters::new(server.clone()).context("email.server has no TLS");
        let tls = match email.tls {
            EmailTls::Starttls => Tls::Required(parameters()?),
            EmailTls::Tls => Tls::Wrapper(parameters()?),
            EmailTls::None => Tls::None,
        };
        let server_name = config.server_name().to_string();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
            .port(email.port())
            .tls(tls)
            .timeout(Some(ANSWER_TIMEOUT))
            .hello_name(ClientId::Domain(config.server_name().host().to_owned()));
        if let (Some(name), Some(password)) = (&email.username, config.email_password()) {
            let credentials = Credentials::new(name.clone(), password.expose().clone());
            builder = builder.credentials(credentials);
        }
        let transport = builder.build();
        Ok(Some(Self { transport, from, server_name, environment: environment.clone() }))
    }

    fn message(&self, letter: &Letter) -> Result<Message, PostError> {
        let never = |cause: Box<dyn std::error::Error + Send + Sync>| PostError::Never(cause);
        let to: Mailbox = letter.to.parse().map_err(|cause| never(Box::new(cause)))?;
        let alphabet = b"abcdefghijklmnopqrstuvwxyz012345";
        let id = self.environment.random_text(alphabet, 24);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(self.environment.now_ms());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(letter.subject.as_str())
            .date(now)
            .message_id(Some(format!("<{id}@{}>", self.server_name)))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone());
        let mut message = message.map_err(|cause| never(Box::new(cause)))?;
        // Nobody's "I am away" answers this.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let value = HeaderValue::new(automatic, "auto-generated".to_owned());
        message.headers_mut().insert_raw(value);
        Ok(message)
    }
}

impl Post for Smtp {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async move {
            let message = self.message(letter)?;
            match self.transport.send(message).await {
                Ok(_) => Ok(()),
                Err(cause) if cause.is_permanent() => Err(PostError::Never(Box::new(cause))),
                Err(cause) => Err(PostError::Later(Box::new(cause))),
            }
        })
    }
}
