//! Mail to citizens over the city's SMTP server. What a server says is kept by its number alone: servers repeat the
//! address in their sentences, and addresses are in no log.

use std::io;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{Address, AsyncTransport, Tokio1Executor};

use super::OutboxError;
use super::courier::{Courier, Outcome};
use super::scribe::Written;
use crate::config::{Mail, MailTls};
use crate::domain::citizen::Channel;
use crate::registry::{CitizenLetter, OutboxEvent};

/// How long a server may take for a step of one mail.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Connections to the server at once.
pub(super) const CONNECTIONS: usize = 4;

/// The way to the server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    /// Behind the `@` of message ids.
    host: String,
}

impl Mailer {
    pub(super) fn new(mail: &Mail, password: Option<String>, site: &str) -> io::Result<Self> {
        let unfit = |what: &str| io::Error::other(format!("[mail] {what} is no mail address"));
        let parse = |text: &str| text.parse::<Mailbox>().ok();
        let reply_to = match mail.reply_to.as_str() {
            "" => None,
            text => Some(parse(text).ok_or_else(|| unfit("reply_to"))?),
        };
        let tls = match mail.tls {
            MailTls::Tls => Tls::Wrapper(tls(&mail.server)?),
            MailTls::StartTls => Tls::Required(tls(&mail.server)?),
            MailTls::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.server)
            .port(mail.port())
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some(password) = password.filter(|_| !mail.user.is_empty()) {
            builder = builder.credentials(Credentials::new(mail.user.clone(), password));
        }
        let host = url::Url::parse(site).ok().and_then(|url| url.host_str().map(str::to_owned));
        Ok(Self {
            transport: builder.build(),
            from: parse(&mail.from).ok_or_else(|| unfit("from"))?,
            reply_to,
            host: host.unwrap_or_else(|| "localhost".to_owned()),
        })
    }

    async fn send(&self, letter: &CitizenLetter, written: Written) -> Outcome {
        let Some((to, message)) = self.message(letter, &written) else {
            return Outcome::refused(None, "no mail can be made of it".to_owned());
        };
        let envelope = match Envelope::new(Some(self.from.email.clone()), vec![to]) {
            Ok(envelope) => envelope,
            Err(_) => return Outcome::refused(None, "no mail can be made of it".to_owned()),
        };
        match self.transport.send_raw(&envelope, &message.formatted()).await {
            Ok(_) => Outcome::Delivered,
            Err(error) => outcome_of(&error),
        }
    }

    fn message(&self, letter: &CitizenLetter, written: &Written) -> Option<(Address, Message)> {
        let to: Address = letter.address.parse().ok()?;
        let raw = |name: &'static str, value: String| {
            let name = HeaderName::new_from_ascii_str(name);
            HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
        };
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(written.subject.clone())
            // The same for every try, so that a mail that came twice is seen to be one.
            .message_id(Some(format!("<{}@{}>", letter.id, self.host)))
            .header(ContentType::TEXT_PLAIN);
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let mut message = builder.body(written.text.clone()).ok()?;
        let headers = message.headers_mut();
        headers.insert_raw(raw("List-Unsubscribe", format!("<{}>", written.stop)));
        headers.insert_raw(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        headers.insert_raw(raw("Auto-Submitted", "auto-generated".to_owned()));
        Some((to, message))
    }
}

/// The machine's certificates, among which a city's own may be; Mozilla's where it has none.
fn tls(server: &str) -> io::Result<TlsParameters> {
    let with = |store| {
        TlsParameters::builder(server.to_owned())
            .certificate_store(store)
            .build_rustls()
            .map_err(io::Error::other)
    };
    with(CertificateStore::Default).or_else(|_| with(CertificateStore::WebpkiRoots))
}

fn outcome_of(error: &Error) -> Outcome {
    let status = error.status().map(|code| code.to_string());
    let number = status.as_deref().and_then(|code| code.parse::<i64>().ok());
    let said = |number: i64| format!("SMTP {number}");
    match number {
        // The server as a whole: busy, or it does not know us.
        Some(number @ (421 | 432 | 454 | 530 | 534 | 535 | 538)) => {
            Outcome::Absent { trouble: said(number), retry_after_s: None }
        }
        Some(number) if error.is_permanent() => Outcome::refused(Some(number), said(number)),
        Some(number) => Outcome::failed(Some(number), said(number)),
        None if error.is_timeout() => {
            Outcome::failed(None, "the mail server did not answer in time".to_owned())
        }
        None if error.is_tls() => {
            Outcome::Absent { trouble: "no TLS with the mail server".to_owned(), retry_after_s: None }
        }
        None => {
            Outcome::Absent { trouble: "no connection to the mail server".to_owned(), retry_after_s: None }
        }
    }
}

impl Courier {
    /// Sends the message that an event names; there is nothing to do where nobody wants it any more, or not by mail.
    pub(super) async fn send_mail(&self, event: &OutboxEvent) -> Result<Outcome, OutboxError> {
        let Some((mailer, scribe)) = self.mailer() else {
            let trouble = "the settings name no mail server".to_owned();
            return Ok(Outcome::Absent { trouble, retry_after_s: None });
        };
        match self.find_letter(event).await? {
            Some(letter) if letter.channel == Channel::Mail => {
                let written = scribe.write(&letter);
                Ok(mailer.send(&letter, written).await)
            }
            _ => Ok(Outcome::Delivered),
        }
    }
}
