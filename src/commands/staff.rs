//! `lidmark user` and `lidmark token`: who may log in and which programs may call.

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Ending, Ground, Outcome};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::calendar::Day;
use crate::domain::ids::{Millis, PartyId};
use crate::domain::role::{Actor, Role};
use crate::domain::scope::{TokenScope, TokenScopes};
use crate::registry::{Clock, NewToken, NewUser, Registry, UserAreasOrder};

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Add a member of staff; the password is read from standard input
    Add(AddUser),
    /// Everybody who has or had a log-in
    List,
    /// Set a password anew; it is read from standard input
    Password { login: String },
    /// The areas for which a grid worker answers; with codes or --none, which they are from now on
    Areas(UserAreas),
    /// End a log-in, its sessions and its API tokens
    Disable { login: String },
}

#[derive(Args)]
pub(super) struct AddUser {
    /// What they type to log in
    #[arg(long)]
    login: String,
    /// crew, grid_worker, handler, dispatcher, supervisor, engineer or admin
    #[arg(long)]
    role: String,
    /// As colleagues see it; the login unless given
    #[arg(long)]
    name: Option<String>,
    /// Name of the party that a handler works for; made if it is not known yet
    #[arg(long)]
    party: Option<String>,
}

#[derive(Args)]
pub(super) struct UserAreas {
    login: String,
    /// Codes of all areas of the kind for which they answer from now on
    #[arg(conflicts_with = "none")]
    codes: Vec<String>,
    /// district, management or grid
    #[arg(long, default_value = "grid")]
    kind: String,
    /// They answer for no area of the kind any more
    #[arg(long)]
    none: bool,
}

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token that acts for a user; it is shown once
    Add {
        /// What the token is for; by this name it is revoked
        #[arg(long)]
        name: String,
        /// The user for whom it acts
        #[arg(long)]
        login: String,
        /// What it opens of what the user may do, with commas between: read, covers:write, cases:write,
        /// plates:write, campaigns:write, crew, sensors, sensors:write, open311, rewards:write, admin; staff = all
        #[arg(long, default_value = "staff", conflicts_with_all = ["open311", "sensors"])]
        scope: String,
        /// The last day on which it opens anything, such as 2027-12-31; unless given, until it is revoked
        #[arg(long)]
        expires: Option<String>,
        /// For another system that sends in over Open311, such as FixMyStreet: --scope open311
        #[arg(long)]
        open311: bool,
        /// For devices or their platform that send in what they measured: --scope sensors
        #[arg(long, conflicts_with = "open311")]
        sensors: bool,
    },
    /// Every token by name with what it opens and when it was last used, never its secret
    List,
    /// Make a token useless
    Revoke { name: String },
}

pub(super) async fn user(ground: &Ground, command: UserCommand) -> Outcome<Ending> {
    let registry = ground.open_or_create(&ground.config()?, Clock::System).await?;
    let say = ground.say;
    match command {
        UserCommand::Add(args) => add_user(ground, &registry, args).await?,
        UserCommand::List => {
            let users = registry.list_users().await?;
            for user in &users {
                let state = if user.disabled { "disabled" } else { "active" };
                say.line(format!("{}\t{}\t{}\t{state}", user.login, user.role, user.name));
            }
            let users: Vec<_> = users
                .iter()
                .map(|user| {
                    json!({"login": user.login, "name": user.name, "role": user.role, "party": user.party,
                        "disabled": user.disabled})
                })
                .collect();
            say.summary(&json!({"users": users}));
        }
        UserCommand::Password { login } => {
            let password = read_password(ground)?;
            registry.set_password(&login, &password).await?;
            say.words(format!("{login} 的密码已重设"), format!("{login} has a new password"));
            say.summary(&json!({"password": login}));
        }
        UserCommand::Areas(args) => user_areas(ground, &registry, args).await?,
        UserCommand::Disable { login } => {
            registry.disable_user(&login).await?;
            say.words(format!("{login} 已停用"), format!("{login} can no longer log in"));
            say.summary(&json!({"disabled": login}));
        }
    }
    registry.close().await;
    Ok(Ending::Done)
}

async fn add_user(ground: &Ground, registry: &Registry, args: AddUser) -> Outcome<()> {
    let role: Role = args.role.parse()?;
    let party = match &args.party {
        Some(name) => Some(find_or_add_party(registry, name).await?),
        None => None,
    };
    let password = read_password(ground)?;
    let new = NewUser {
        name: args.name.unwrap_or_else(|| args.login.clone()),
        login: args.login,
        role,
        party,
        password,
    };
    let user = registry.add_user(new).await?;
    ground.say.words(
        format!("已添加 {}（{}）", user.login, user.role),
        format!("{} was added as {}", user.login, user.role),
    );
    ground.say.summary(&json!({"added": {"login": user.login, "role": user.role, "id": user.id}}));
    Ok(())
}

async fn user_areas(ground: &Ground, registry: &Registry, args: UserAreas) -> Outcome<()> {
    let UserAreas { login, codes, kind, none } = args;
    if none || !codes.is_empty() {
        let kind: AreaKind = kind.parse().map_err(|refusal: Refusal| refusal.at("kind"))?;
        let order = UserAreasOrder { login: login.clone(), kind, codes, actor: Actor::System };
        registry.set_user_areas(order).await?;
    }
    let wanted = login.trim().to_lowercase();
    let unknown = || Refusal::new("user.unknown").with("read", &login);
    let user = registry.list_users().await?.into_iter().find(|user| user.login == wanted);
    let own = registry.list_user_areas(user.ok_or_else(unknown)?.id).await?;
    for area in &own {
        let (name, _) = area.names.clone().unwrap_or_default();
        ground.say.line(format!("{}\t{}\t{name}", area.kind, area.code));
    }
    if own.is_empty() {
        ground.say.words(
            format!("{wanted} 没有责任区，可在全市上报"),
            format!("{wanted} has no areas of their own and reports anywhere"),
        );
    }
    let own: Vec<_> = own.iter().map(|area| json!({"kind": area.kind, "code": area.code})).collect();
    ground.say.summary(&json!({"user": wanted, "areas": own}));
    Ok(())
}

async fn find_or_add_party(registry: &Registry, name: &str) -> Outcome<PartyId> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Refusal::new("user.handler_needs_party").at("party").into());
    }
    Ok(registry.find_or_add_party(name).await?)
}

/// One line from standard input: not an argument, because arguments are seen by everybody on the machine.
fn read_password(ground: &Ground) -> Outcome<String> {
    if std::io::stdin().is_terminal() {
        ground.say.problem("Password (one line, at least 10 characters):");
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read {
        Ok(0) | Err(_) => Err(Refusal::new("user.password_missing").at("password").into()),
        Ok(_) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

pub(super) async fn token(ground: &Ground, command: TokenCommand) -> Outcome<Ending> {
    let registry = ground.open_or_create(&ground.config()?, Clock::System).await?;
    let say = ground.say;
    match command {
        TokenCommand::Add { name, login, scope, expires, open311, sensors } => {
            let scopes: TokenScopes = match (open311, sensors) {
                (true, _) => TokenScopes::of(TokenScope::Open311),
                (_, true) => TokenScopes::of(TokenScope::Sensors),
                _ => scope.parse().map_err(|refusal: Refusal| refusal.at("scope"))?,
            };
            let last_day = expires.map(|text| {
                Day::try_from(text.clone())
                    .map_err(|_| Refusal::new("form.day").at("expires").with("read", text))
            });
            let last_day = last_day.transpose()?;
            let new = NewToken { login: login.clone(), name: name.clone(), scopes, last_day };
            let secret = registry.add_token(new).await?;
            say.line(&secret);
            say.summary(&json!({"name": name, "login": login, "token": secret, "scope": scopes.to_string(),
                "expires": last_day.map(String::from)}));
        }
        TokenCommand::List => {
            let tokens = registry.list_api_tokens().await?;
            for token in &tokens {
                let is_over = token.expires_at.is_some_and(|at| at <= registry.now().0);
                let state = match (token.revoked_at, is_over) {
                    (Some(_), _) => "revoked",
                    (None, true) => "expired",
                    (None, false) => "valid",
                };
                let made = Millis(token.created_at).to_rfc3339();
                let ends = token.expires_at.map_or_else(|| "-".to_owned(), |at| Millis(at).to_rfc3339());
                let used = token.last_used_on.as_deref().unwrap_or("-");
                let (name, login, scope) = (&token.name, &token.login, &token.scope);
                say.line(format!("{name}\t{login}\t{made}\t{state}\t{scope}\t{ends}\t{used}"));
            }
            let tokens: Vec<_> = tokens
                .iter()
                .map(|token| {
                    json!({"name": token.name, "user": token.login, "scope": token.scope,
                        "created_at": Millis(token.created_at).to_rfc3339(),
                        "expires_at": token.expires_at.map(|at| Millis(at).to_rfc3339()),
                        "last_used_on": token.last_used_on,
                        "revoked_at": token.revoked_at.map(|at| Millis(at).to_rfc3339())})
                })
                .collect();
            say.summary(&json!({"tokens": tokens}));
        }
        TokenCommand::Revoke { name } => {
            registry.revoke_api_token(&name).await?;
            say.words(format!("令牌 {name} 已作废"), format!("The token {name} opens nothing any more"));
            say.summary(&json!({"revoked": name}));
        }
    }
    registry.close().await;
    Ok(Ending::Done)
}
