//! Settings, parties, users, sessions, API tokens and idempotency keys.

use std::collections::HashMap;

use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::cover::Party;
use crate::domain::ids::{IdempotencyKey, Millis, PartyId, UserId};
use crate::domain::role::Role;
use crate::domain::scope::TokenScopes;

/// A member of staff as stored.
#[derive(Debug, Clone)]
pub struct UserRecord {
    pub id: UserId,
    pub login: String,
    pub name: String,
    pub role: Role,
    pub party: Option<PartyId>,
    pub password_hash: String,
    pub disabled: bool,
    pub failed_logins: i64,
    pub locked_until: Option<Millis>,
    pub created_at: Millis,
}

#[derive(sqlx::FromRow)]
struct UserRow {
    id: Uuid,
    login: String,
    name: String,
    role: String,
    party_id: Option<Uuid>,
    password_hash: String,
    disabled: bool,
    failed_logins: i64,
    locked_until: Option<i64>,
    created_at: i64,
}

impl TryFrom<UserRow> for UserRecord {
    type Error = StoreError;
    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            role: row.role.parse().map_err(|_| StoreError::inconsistent("users", "role", row.id))?,
            id: UserId(row.id),
            login: row.login,
            name: row.name,
            party: row.party_id.map(PartyId),
            password_hash: row.password_hash,
            disabled: row.disabled,
            failed_logins: row.failed_logins,
            locked_until: row.locked_until.map(Millis),
            created_at: Millis(row.created_at),
        })
    }
}

/// Stores the value unless the key has one; answers the value that stands.
pub async fn settle_setting(tx: &mut Tx, key: &str, value: &str) -> Result<String, StoreError> {
    on_db!(tx, |c| {
        sqlx::query("INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
            .bind(key)
            .bind(value)
            .execute(&mut *c)
            .await?;
        Ok(sqlx::query_scalar("SELECT value FROM settings WHERE key = $1")
            .bind(key)
            .fetch_one(&mut *c)
            .await?)
    })
}

pub async fn find_setting(tx: &mut Tx, key: &str) -> Result<Option<String>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_scalar("SELECT value FROM settings WHERE key = $1")
            .bind(key)
            .fetch_optional(&mut *c)
            .await?)
    })
}

pub async fn put_setting(tx: &mut Tx, key: &str, value: &str) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Advances counters by the given amounts and answers their new values in the same order. Holds
/// them until the commit: name them in alphabetical order, so that no two transactions wait for
/// each other.
pub async fn advance_counters<const N: usize>(
    tx: &mut Tx,
    wanted: [(&str, i64); N],
) -> Result<[i64; N], StoreError> {
    let rows: Vec<(String, i64)> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new("INSERT INTO counters (name, last) ");
        query.push_values(wanted, |mut row, (name, by)| {
            row.push_bind(name).push_bind(by);
        });
        query.push(
            " ON CONFLICT (name) DO UPDATE SET last = counters.last + excluded.last RETURNING name, last",
        );
        query.build_query_as().fetch_all(&mut *c).await?
    });
    let mut values = [0; N];
    for (value, (name, _)) in values.iter_mut().zip(wanted) {
        *value = rows
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, last)| *last)
            .ok_or_else(|| StoreError::inconsistent("counters", "last", name))?;
    }
    Ok(values)
}

/// Adds a party or renames its hotline. Names are unique.
pub async fn put_party(tx: &mut Tx, party: &Party) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO parties (id, name, hotline) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET hotline = excluded.hotline",
        )
        .bind(party.id.0)
        .bind(&party.name)
        .bind(&party.hotline)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Adds a party unless its name is known; answers the id that stands.
pub async fn find_or_add_party(tx: &mut Tx, name: &str, fresh: PartyId) -> Result<PartyId, StoreError> {
    on_db!(tx, |c| {
        sqlx::query("INSERT INTO parties (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(fresh.0)
            .bind(name)
            .execute(&mut *c)
            .await?;
        let id = sqlx::query_scalar("SELECT id FROM parties WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *c)
            .await?;
        Ok(PartyId(id))
    })
}

#[derive(sqlx::FromRow)]
struct PartyRow {
    id: Uuid,
    name: String,
    hotline: Option<String>,
}

impl From<PartyRow> for Party {
    fn from(row: PartyRow) -> Self {
        Party { id: PartyId(row.id), name: row.name, hotline: row.hotline }
    }
}

pub async fn list_parties(tx: &mut Tx) -> Result<Vec<Party>, StoreError> {
    let rows: Vec<PartyRow> =
        on_db!(tx, |c| sqlx::query_as("SELECT id, name, hotline FROM parties ORDER BY name")
            .fetch_all(&mut *c)
            .await?);
    Ok(rows.into_iter().map(Party::from).collect())
}

pub async fn find_party(tx: &mut Tx, id: PartyId) -> Result<Option<Party>, StoreError> {
    let row: Option<PartyRow> =
        on_db!(tx, |c| sqlx::query_as("SELECT id, name, hotline FROM parties WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&mut *c)
            .await?);
    Ok(row.map(Party::from))
}

/// Adds a user. `false` when the login is taken.
pub async fn add_user(tx: &mut Tx, user: &UserRecord) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "INSERT INTO users (id, login, name, role, party_id, password_hash, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (login) DO NOTHING",
        )
        .bind(user.id.0)
        .bind(&user.login)
        .bind(&user.name)
        .bind(user.role.as_str())
        .bind(user.party.map(|party| party.0))
        .bind(&user.password_hash)
        .bind(user.created_at.0)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

const USER: &str =
    "SELECT id, login, name, role, party_id, password_hash, disabled, failed_logins, locked_until,
    created_at FROM users WHERE login = $1";

pub async fn find_user(tx: &mut Tx, login: &str) -> Result<Option<UserRecord>, StoreError> {
    let row: Option<UserRow> =
        on_db!(tx, |c| sqlx::query_as(USER).bind(login).fetch_optional(&mut *c).await?);
    row.map(UserRecord::try_from).transpose()
}

pub async fn list_users(tx: &mut Tx) -> Result<Vec<UserRecord>, StoreError> {
    let rows: Vec<UserRow> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT id, login, name, role, party_id, password_hash, disabled, failed_logins, locked_until, created_at
         FROM users ORDER BY login"
    )
    .fetch_all(&mut *c)
    .await?
    });
    rows.into_iter().map(UserRecord::try_from).collect()
}

/// Gives a user another password, ends their sessions and forgets failed tries. `false` when there is none
/// of that login.
pub async fn set_password(tx: &mut Tx, login: &str, password_hash: &str) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE users SET password_hash = $2, failed_logins = 0, locked_until = NULL WHERE login = $1",
        )
        .bind(login)
        .bind(password_hash)
        .execute(&mut *c)
        .await?;
        sqlx::query("DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE login = $1)")
            .bind(login)
            .execute(&mut *c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Disables a user and ends their sessions. `false` when there is none of that login.
pub async fn disable_user(tx: &mut Tx, login: &str) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query("UPDATE users SET disabled = $2 WHERE login = $1")
            .bind(login)
            .bind(true)
            .execute(&mut *c)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE login = $1)")
            .bind(login)
            .execute(&mut *c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Notes how a log-in went: failures in a row and until when the account is locked.
pub async fn note_login(
    tx: &mut Tx,
    id: UserId,
    failed: i64,
    locked: Option<Millis>,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE users SET failed_logins = $2, locked_until = $3 WHERE id = $1")
            .bind(id.0)
            .bind(failed)
            .bind(locked.map(|at| at.0))
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

pub async fn add_session(
    tx: &mut Tx,
    secret_hash: &[u8],
    user: UserId,
    created: Millis,
    expires: Millis,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1").bind(created.0).execute(&mut *c).await?;
        sqlx::query(
            "INSERT INTO sessions (secret_hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(secret_hash)
        .bind(user.0)
        .bind(created.0)
        .bind(expires.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// The user of a live session; none when it expired or the user was disabled.
pub async fn find_session_user(
    tx: &mut Tx,
    secret_hash: &[u8],
    now: Millis,
) -> Result<Option<UserRecord>, StoreError> {
    let row: Option<UserRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT u.id, u.login, u.name, u.role, u.party_id, u.password_hash, u.disabled, u.failed_logins,
                u.locked_until, u.created_at
         FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.secret_hash = $1 AND s.expires_at > $2 AND u.disabled = $3"
    )
    .bind(secret_hash)
    .bind(now.0)
    .bind(false)
    .fetch_optional(&mut *c)
    .await?);
    row.map(UserRecord::try_from).transpose()
}

pub async fn remove_session(tx: &mut Tx, secret_hash: &[u8]) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM sessions WHERE secret_hash = $1").bind(secret_hash).execute(&mut *c).await?;
        Ok(())
    })
}

/// An API token to be added.
#[derive(Debug, Clone)]
pub struct NewTokenRecord {
    pub secret_hash: [u8; 32],
    pub user: UserId,
    pub name: String,
    pub scopes: TokenScopes,
    pub created_at: Millis,
    pub expires_at: Option<Millis>,
}

/// Adds an API token. `false` when the name is taken.
pub async fn add_api_token(tx: &mut Tx, token: &NewTokenRecord) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "INSERT INTO api_tokens (secret_hash, user_id, name, scope, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
        )
        .bind(token.secret_hash.as_slice())
        .bind(token.user.0)
        .bind(&token.name)
        .bind(token.scopes.to_string())
        .bind(token.created_at.0)
        .bind(token.expires_at.map(|at| at.0))
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// A live API token: whose it is, what it opens, on which day it was last used.
#[derive(Debug, Clone)]
pub struct LiveToken {
    pub user: UserRecord,
    pub scopes: TokenScopes,
    pub last_used_on: Option<String>,
}

/// The token of a secret; none when it was revoked or its time is over, or when its user was disabled.
pub async fn find_api_token(
    tx: &mut Tx,
    secret_hash: &[u8],
    now: Millis,
) -> Result<Option<LiveToken>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        user: UserRow,
        scope: String,
        last_used_on: Option<String>,
    }
    let row: Option<Row> = on_db!(tx, |c| sqlx::query_as(
        "SELECT u.id, u.login, u.name, u.role, u.party_id, u.password_hash, u.disabled, u.failed_logins,
                u.locked_until, u.created_at, t.scope, t.last_used_on
         FROM api_tokens t JOIN users u ON u.id = t.user_id
         WHERE t.secret_hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $3)
             AND u.disabled = $2"
    )
    .bind(secret_hash)
    .bind(false)
    .bind(now.0)
    .fetch_optional(&mut *c)
    .await?);
    row.map(|row| {
        let scopes =
            row.scope.parse().map_err(|_| StoreError::inconsistent("api_tokens", "scope", &row.scope))?;
        Ok(LiveToken { user: row.user.try_into()?, scopes, last_used_on: row.last_used_on })
    })
    .transpose()
}

/// Notes on which day a token was used.
pub async fn note_token_use(tx: &mut Tx, secret_hash: &[u8], day: &str) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE api_tokens SET last_used_on = $2 WHERE secret_hash = $1")
            .bind(secret_hash)
            .bind(day)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// An API token without its secret.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ApiTokenRecord {
    pub name: String,
    pub login: String,
    /// What it opens, words with a blank between.
    pub scope: String,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
    pub expires_at: Option<i64>,
    /// On the city's clock; `None` = never.
    pub last_used_on: Option<String>,
}

pub async fn list_api_tokens(tx: &mut Tx) -> Result<Vec<ApiTokenRecord>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_as(
            "SELECT t.name, u.login, t.scope, t.created_at, t.revoked_at, t.expires_at, t.last_used_on
             FROM api_tokens t JOIN users u ON u.id = t.user_id ORDER BY t.name",
        )
        .fetch_all(&mut *c)
        .await?)
    })
}

/// Revokes an API token. `false` when there is no live one of that name.
pub async fn revoke_api_token(tx: &mut Tx, name: &str, now: Millis) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done =
            sqlx::query("UPDATE api_tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL")
                .bind(name)
                .bind(now.0)
                .execute(&mut *c)
                .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// What a first call under an idempotency key was and answered.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct FirstAnswer {
    pub scope: String,
    pub request_hash: Vec<u8>,
    pub answer: String,
}

/// The first answers that these keys have had.
pub async fn list_first_answers(
    tx: &mut Tx,
    keys: &[IdempotencyKey],
) -> Result<HashMap<IdempotencyKey, FirstAnswer>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        key: Uuid,
        #[sqlx(flatten)]
        first: FirstAnswer,
    }
    let rows: Vec<Row> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT key, scope, request_hash, answer FROM idempotency WHERE key IN (",
        );
        let mut list = query.separated(", ");
        for key in keys {
            list.push_bind(key.0);
        }
        query.push(")");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    Ok(rows.into_iter().map(|row| (IdempotencyKey(row.key), row.first)).collect())
}

/// A call under a key that was not used before, with its answer.
#[derive(Debug, Clone)]
pub struct AnsweredCall {
    pub key: IdempotencyKey,
    pub request_hash: [u8; 32],
    pub answer: String,
}

/// Claims a key for this transaction; `Some` with the first answer when it was used before. On
/// PostgreSQL a second claim waits for the first one's commit.
pub async fn claim_key(
    tx: &mut Tx,
    key: IdempotencyKey,
    scope: &str,
    request_hash: &[u8],
    now: Millis,
) -> Result<Option<FirstAnswer>, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "INSERT INTO idempotency (key, scope, request_hash, answer, at) VALUES ($1, $2, $3, '', $4)
             ON CONFLICT (key) DO NOTHING",
        )
        .bind(key.0)
        .bind(scope)
        .bind(request_hash)
        .bind(now.0)
        .execute(&mut *c)
        .await?;
        if done.rows_affected() == 1 {
            return Ok(None);
        }
        Ok(Some(
            sqlx::query_as("SELECT scope, request_hash, answer FROM idempotency WHERE key = $1")
                .bind(key.0)
                .fetch_one(&mut *c)
                .await?,
        ))
    })
}

pub async fn keep_answer(tx: &mut Tx, key: IdempotencyKey, answer: &str) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE idempotency SET answer = $2 WHERE key = $1")
            .bind(key.0)
            .bind(answer)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}
