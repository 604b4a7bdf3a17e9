//! Users, sessions and API tokens.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use rand::RngExt;

use super::{Registry, RegistryError, base32, sha256};
use crate::domain::Refusal;
use crate::domain::calendar::Day;
use crate::domain::ids::{Millis, PartyId, UserId};
use crate::domain::role::{Actor, Role};
use crate::domain::scope::{TokenScope, TokenScopes};
use crate::store::people::{self, ApiTokenRecord, NewTokenRecord, UserRecord};

/// A member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub login: String,
    pub name: String,
    pub role: Role,
    /// The party a handler works for.
    pub party: Option<PartyId>,
    pub disabled: bool,
}

impl User {
    pub fn actor(&self) -> Actor {
        Actor::Staff { user: self.id, role: self.role, party: self.party }
    }
}

impl From<UserRecord> for User {
    fn from(record: UserRecord) -> Self {
        let UserRecord { id, login, name, role, party, disabled, .. } = record;
        User { id, login, name, role, party, disabled }
    }
}

/// Who shall be added. A handler needs a party.
#[derive(Clone)]
pub struct NewUser {
    pub login: String,
    pub name: String,
    pub role: Role,
    pub party: Option<PartyId>,
    pub password: String,
}

/// An API token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub login: String,
    /// By which it is revoked.
    pub name: String,
    pub scopes: TokenScopes,
    /// The last day on which it opens anything; `None` = until it is revoked.
    pub last_day: Option<Day>,
}

impl NewToken {
    fn of(login: &str, name: &str, scope: TokenScope) -> Self {
        Self {
            login: login.to_owned(),
            name: name.to_owned(),
            scopes: TokenScopes::of(scope),
            last_day: None,
        }
    }
}

/// Who stands behind an API token, and what it opens of what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHolder {
    pub user: User,
    pub scopes: TokenScopes,
}

/// A live log-in. `secret` goes into the cookie and nowhere else.
#[derive(Clone)]
pub struct Session {
    pub secret: String,
    /// Every form of this session carries it.
    pub csrf: String,
    pub user: User,
}

/// How a log-in went.
pub enum LogIn {
    Welcome(Session),
    /// Login or password is wrong; it does not say which.
    WrongCredentials,
    /// Too many wrong passwords in a row.
    LockedUntil(Millis),
}

const SESSION_MS: i64 = 12 * 3600 * 1000;
/// Wrong passwords in a row that are forgiven.
const FREE_FAILURES: i64 = 5;
const LOCK_MS: i64 = 5 * 60 * 1000;
const SHORTEST_PASSWORD: usize = 10;

fn hash_password(password: &str) -> Result<String, RegistryError> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| RegistryError::Refused(Refusal::new("user.password_unusable").at("password")))
}

/// Hashes on a thread for such work: it takes 14 ms.
async fn hash_aside(password: String) -> Result<String, RegistryError> {
    tokio::task::spawn_blocking(move || hash_password(&password))
        .await
        .unwrap_or_else(|_| Err(Refusal::new("user.password_unusable").at("password").into()))
}

fn check_password(password: &str) -> Result<(), Refusal> {
    if password.chars().count() < SHORTEST_PASSWORD {
        return Err(Refusal::new("user.password_short").at("password").with("least", SHORTEST_PASSWORD));
    }
    Ok(())
}

fn password_fits(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Verified for an unknown login, so that the answer takes as long as for a known one.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$RdescudvJCsgt3ub+b27nFFZ6FyRLU3tS8VoVYAxJnA";

fn csrf_of(secret: &str) -> String {
    base32(&sha256(&[b"csrf", secret.as_bytes()])[..20])
}

fn session_hash(secret: &str) -> [u8; 32] {
    sha256(&[b"session", secret.as_bytes()])
}

fn token_hash(secret: &str) -> [u8; 32] {
    sha256(&[b"api token", secret.as_bytes()])
}

/// Whether people of this role may say where a report comes from.
fn is_of_desk(role: Role) -> bool {
    matches!(role, Role::Dispatcher | Role::Supervisor | Role::Admin)
}

/// Who answers for the devices under covers, and may send in for them.
pub const DEVICE_KEEPERS: &[Role] = &[Role::Engineer, Role::Admin];

fn draw_secret() -> String {
    base32(&rand::rng().random::<[u8; 25]>())
}

impl Registry {
    /// Adds a user. Refuses a taken login, a short password and a handler without a party.
    pub async fn add_user(&self, new: NewUser) -> Result<User, RegistryError> {
        let login = new.login.trim().to_lowercase();
        if login.is_empty()
            || login.len() > 60
            || !login.chars().all(|c| c.is_alphanumeric() || "._-@".contains(c))
        {
            return Err(Refusal::new("user.login").at("login").into());
        }
        check_password(&new.password)?;
        if new.role == Role::Handler && new.party.is_none() {
            return Err(Refusal::new("user.handler_needs_party").at("party").into());
        }
        let password_hash = hash_aside(new.password.clone()).await?;
        let record = UserRecord {
            id: UserId::fresh(),
            login: login.clone(),
            name: new.name,
            role: new.role,
            party: new.party,
            password_hash,
            disabled: false,
            failed_logins: 0,
            locked_until: None,
            created_at: self.now(),
        };
        let stored = record.clone();
        let added = self
            .store
            .write::<bool, RegistryError, _>(move |tx| {
                let stored = stored.clone();
                Box::pin(async move { Ok(people::add_user(tx, &stored).await?) })
            })
            .await?;
        if !added {
            return Err(RegistryError::Conflict(
                Refusal::new("user.login_taken").at("login").with("read", login),
            ));
        }
        Ok(record.into())
    }

    pub async fn list_users(&self) -> Result<Vec<User>, RegistryError> {
        let records = people::list_users(&mut self.store.read().await?).await?;
        Ok(records.into_iter().map(User::from).collect())
    }

    /// Gives a user another password: one they forgot, or that of an archive, in which nobody has one.
    pub async fn set_password(&self, login: &str, password: &str) -> Result<(), RegistryError> {
        check_password(password)?;
        let password_hash = hash_aside(password.to_owned()).await?;
        let wanted = login.to_lowercase();
        let done = self
            .store
            .write::<bool, RegistryError, _>(move |tx| {
                let (wanted, password_hash) = (wanted.clone(), password_hash.clone());
                Box::pin(async move { Ok(people::set_password(tx, &wanted, &password_hash).await?) })
            })
            .await?;
        if done {
            Ok(())
        } else {
            Err(RegistryError::NotFound(Refusal::new("user.unknown").with("read", login)))
        }
    }

    /// Disables a user and ends their sessions and API tokens.
    pub async fn disable_user(&self, login: &str) -> Result<(), RegistryError> {
        let wanted = login.to_lowercase();
        let done = self
            .store
            .write::<bool, RegistryError, _>(move |tx| {
                let wanted = wanted.clone();
                Box::pin(async move { Ok(people::disable_user(tx, &wanted).await?) })
            })
            .await?;
        if done {
            Ok(())
        } else {
            Err(RegistryError::NotFound(Refusal::new("user.unknown").with("read", login)))
        }
    }

    /// Checks a password and opens a session. After five wrong ones in a row the account rests for
    /// five minutes, longer with each further one.
    pub async fn log_in(&self, login: &str, password: &str) -> Result<LogIn, RegistryError> {
        let now = self.now();
        // No login holds a NUL, and PostgreSQL refuses to look for one.
        let login = login.trim().to_lowercase().replace('\0', " ");
        let record = people::find_user(&mut self.store.read().await?, &login).await?;
        if let Some(until) = record.as_ref().and_then(|user| user.locked_until).filter(|until| *until > now) {
            return Ok(LogIn::LockedUntil(until));
        }
        let stored = record.as_ref().map_or_else(|| NOBODY.to_owned(), |user| user.password_hash.clone());
        let password = password.to_owned();
        let fits =
            tokio::task::spawn_blocking(move || password_fits(&password, &stored)).await.unwrap_or(false);
        let Some(user) = record.filter(|user| !user.disabled) else { return Ok(LogIn::WrongCredentials) };
        if !fits {
            let failed = user.failed_logins + 1;
            let locked =
                (failed >= FREE_FAILURES).then(|| Millis(now.0 + LOCK_MS * (failed - FREE_FAILURES + 1)));
            self.store
                .write::<(), RegistryError, _>(move |tx| {
                    Box::pin(async move { Ok(people::note_login(tx, user.id, failed, locked).await?) })
                })
                .await?;
            return Ok(locked.map_or(LogIn::WrongCredentials, LogIn::LockedUntil));
        }
        let secret = draw_secret();
        let hash = session_hash(&secret);
        let id = user.id;
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                Box::pin(async move {
                    people::note_login(tx, id, 0, None).await?;
                    Ok(people::add_session(tx, &hash, id, now, Millis(now.0 + SESSION_MS)).await?)
                })
            })
            .await?;
        Ok(LogIn::Welcome(Session { csrf: csrf_of(&secret), secret, user: user.into() }))
    }

    /// The session behind a cookie, if it is alive.
    pub async fn find_session(&self, secret: &str) -> Result<Option<Session>, RegistryError> {
        let user =
            people::find_session_user(&mut self.store.read().await?, &session_hash(secret), self.now())
                .await?;
        Ok(user.map(|user| Session { secret: secret.to_owned(), csrf: csrf_of(secret), user: user.into() }))
    }

    pub async fn log_out(&self, secret: &str) -> Result<(), RegistryError> {
        let hash = session_hash(secret);
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(people::remove_session(tx, &hash).await?) })
            })
            .await
    }

    /// Makes an API token for all that a user may do.
    pub async fn add_api_token(&self, login: &str, name: &str) -> Result<String, RegistryError> {
        self.add_token(NewToken::of(login, name, TokenScope::Staff)).await
    }

    /// Makes a key with which another system may send in over Open311 in the name of a user, and do nothing else.
    pub async fn add_open311_key(&self, login: &str, name: &str) -> Result<String, RegistryError> {
        self.add_token(NewToken::of(login, name, TokenScope::Open311)).await
    }

    /// Makes a token with which devices or their platform may send in what they measured, and do nothing else.
    pub async fn add_sensor_token(&self, login: &str, name: &str) -> Result<String, RegistryError> {
        self.add_token(NewToken::of(login, name, TokenScope::Sensors)).await
    }

    /// Makes an API token for a user; answers the secret, which is shown once and stored hashed. Refuses a scope
    /// of which a user of that role could make no use by its own door.
    pub async fn add_token(&self, new: NewToken) -> Result<String, RegistryError> {
        let NewToken { login, name, scopes, last_day } = new;
        let user = people::find_user(&mut self.store.read().await?, &login.to_lowercase())
            .await?
            .ok_or_else(|| RegistryError::NotFound(Refusal::new("user.unknown").with("read", &login)))?;
        let has = |scope| scopes.iter().any(|one| one == scope);
        if has(TokenScope::Open311) && !is_of_desk(user.role) {
            return Err(Refusal::new("open311.key_role").at("login").with("role", user.role).into());
        }
        if has(TokenScope::Sensors) && !DEVICE_KEEPERS.contains(&user.role) {
            return Err(Refusal::new("sensor.token_role").at("login").with("role", user.role).into());
        }
        let now = self.now();
        let expires_at = last_day.map(|day| day.end(self.utc_offset_minutes));
        if let Some(day) = last_day.filter(|_| expires_at.is_some_and(|at| at <= now)) {
            return Err(Refusal::new("api_token.over").at("expires").with("read", String::from(day)).into());
        }
        let secret = draw_secret();
        let record = NewTokenRecord {
            secret_hash: token_hash(&secret),
            user: user.id,
            name: name.clone(),
            scopes,
            created_at: now,
            expires_at,
        };
        let added = self
            .store
            .write::<bool, RegistryError, _>(move |tx| {
                let record = record.clone();
                Box::pin(async move { Ok(people::add_api_token(tx, &record).await?) })
            })
            .await?;
        if added {
            Ok(secret)
        } else {
            Err(RegistryError::Conflict(Refusal::new("api_token.name_taken").at("name").with("read", name)))
        }
    }

    /// Who stands behind the secret of a live API token. Its first use on a day is noted.
    pub async fn find_api_token(&self, secret: &str) -> Result<Option<TokenHolder>, RegistryError> {
        let (hash, now) = (token_hash(secret), self.now());
        let found = people::find_api_token(&mut self.store.read().await?, &hash, now).await?;
        let Some(token) = found else { return Ok(None) };
        let today = String::from(Day::of(now, self.utc_offset_minutes));
        if token.last_used_on.as_deref() != Some(today.as_str()) {
            let noted = self.store.write::<(), RegistryError, _>(move |tx| {
                let today = today.clone();
                Box::pin(async move { Ok(people::note_token_use(tx, &hash, &today).await?) })
            });
            // A full disk must not keep anybody from reading.
            if let Err(error) = noted.await {
                tracing::debug!(%error, "the use of a token is not noted");
            }
        }
        Ok(Some(TokenHolder { user: token.user.into(), scopes: token.scopes }))
    }

    /// The user in whose name a key sends in over Open311: one that opens this, of somebody of the desk.
    pub async fn find_open311_key(&self, secret: &str) -> Result<Option<User>, RegistryError> {
        let holder = self.find_api_token(secret).await?;
        let fits =
            |holder: &TokenHolder| holder.scopes.opens(TokenScope::Open311) && is_of_desk(holder.user.role);
        Ok(holder.filter(fits).map(|holder| holder.user))
    }

    pub async fn list_api_tokens(&self) -> Result<Vec<ApiTokenRecord>, RegistryError> {
        Ok(people::list_api_tokens(&mut self.store.read().await?).await?)
    }

    pub async fn revoke_api_token(&self, name: &str) -> Result<(), RegistryError> {
        let (wanted, now) = (name.to_owned(), self.now());
        let done = self
            .store
            .write::<bool, RegistryError, _>(move |tx| {
                let wanted = wanted.clone();
                Box::pin(async move { Ok(people::revoke_api_token(tx, &wanted, now).await?) })
            })
            .await?;
        if done {
            Ok(())
        } else {
            Err(RegistryError::NotFound(Refusal::new("api_token.unknown").with("read", name)))
        }
    }
}
