//! A mail server on this machine that keeps what it takes and refuses whom a story names.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine};
use lidmark::config::{Config, Mail, MailTls};

/// A mail as it was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub to: String,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Taken {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The address in its text that has this part.
    pub fn link(&self, part: &str) -> String {
        let line = self.text.lines().find(|line| line.starts_with("http") && line.contains(part));
        line.unwrap_or_else(|| panic!("no {part} in {}", self.text)).trim().to_owned()
    }
}

type Verdicts = dyn Fn(&str) -> u16 + Send;

struct Inside {
    taken: Vec<Taken>,
    /// What is said to a recipient.
    verdict: Box<Verdicts>,
}

/// It listens as long as the process lives.
#[derive(Clone)]
pub struct Sink {
    pub address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
}

impl Sink {
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inside = Inside { taken: Vec::new(), verdict: Box::new(|_| 250) };
        let sink = Self { address: listener.local_addr().unwrap(), inside: Arc::new(Mutex::new(inside)) };
        let serving = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = serving.clone();
                std::thread::spawn(move || sink.talk(stream));
            }
        });
        sink
    }

    /// From now on recipients are answered so.
    pub fn says(&self, verdict: impl Fn(&str) -> u16 + Send + 'static) {
        self.inside.lock().unwrap().verdict = Box::new(verdict);
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.inside.lock().unwrap().taken.clone()
    }

    /// Settings of a city that sends its mail here.
    pub fn settings(&self) -> Mail {
        Mail {
            server: self.address.ip().to_string(),
            port: self.address.port(),
            tls: MailTls::None,
            from: "井盖服务 <noreply@lid.example.cn>".into(),
            site: "https://lid.example.cn".into(),
            ..Mail::default()
        }
    }

    pub fn config(&self) -> Config {
        Config { plate_host: "lid.example.cn".into(), mail: self.settings(), ..Config::default() }
    }

    fn talk(&self, stream: TcpStream) {
        let mut out = stream.try_clone().unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).is_ok();
        say("220 sink");
        let mut to = String::new();
        while let Some(Ok(line)) = lines.next() {
            let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            match word.as_str() {
                "EHLO" => say("250-sink\r\n250 8BITMIME"),
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    let verdict = (self.inside.lock().unwrap().verdict)(&to);
                    // Servers repeat the address; nobody may keep it.
                    say(&format!("{verdict} <{to}> so it is"))
                }
                "DATA" => {
                    say("354 go on");
                    let mut mail = String::new();
                    for line in lines.by_ref().map_while(Result::ok) {
                        if line == "." {
                            break;
                        }
                        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                        mail.push('\n');
                    }
                    self.inside.lock().unwrap().taken.push(read(&to, &mail));
                    say("250 taken")
                }
                "QUIT" => {
                    say("221 bye");
                    return;
                }
                _ => say("250 ok"),
            };
        }
    }
}

fn read(to: &str, mail: &str) -> Taken {
    let (head, body) = mail.split_once("\n\n").unwrap();
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in head.lines() {
        match (line.starts_with([' ', '\t']), line.split_once(':')) {
            (true, _) => headers.last_mut().unwrap().1.push_str(line),
            (false, Some((name, value))) => headers.push((name.to_owned(), value.trim().to_owned())),
            _ => panic!("{line}"),
        }
    }
    headers.iter_mut().for_each(|(_, value)| *value = words(value));
    let encoding = headers.iter().find(|(name, _)| name == "Content-Transfer-Encoding");
    let bytes = match encoding.map(|(_, value)| value.as_str()) {
        Some("base64") => BASE64_STANDARD.decode(body.replace('\n', "")).unwrap(),
        Some("quoted-printable") => quoted(&body.replace("=\n", "")),
        _ => body.as_bytes().to_vec(),
    };
    let text = String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
    Taken { to: to.to_owned(), headers, text }
}

fn quoted(text: &str) -> Vec<u8> {
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes
}

/// Encoded words of a header as text.
fn words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("=?utf-8?b?") {
        if !before.trim().is_empty() {
            out.push_str(before);
        }
        let (word, behind) = after.split_once("?=").unwrap();
        out.push_str(&String::from_utf8_lossy(&BASE64_STANDARD.decode(word).unwrap()));
        rest = behind;
    }
    out + rest
}
