//! The list of addresses. A line that does not say who may call it does not compile.

use axum::Router;
use axum::routing::MethodRouter;

use super::{AppState, auth, scopes};
use crate::domain::role::Role;
use crate::domain::scope::TokenScope;

/// Who may call an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without an account.
    Public,
    /// Staff with one of these roles; an empty list means any of them. Admins always.
    Staff(&'static [Role]),
    /// Programs with a token for sensors.
    Sensors,
}

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
    /// What an API token must open beside the role of its user; see `scopes.rs`. `None` at doors that ask for no
    /// log-in.
    pub scope: Option<TokenScope>,
}

/// What a gate asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub roles: &'static [Role],
    pub scope: TokenScope,
}

pub(super) struct Doors {
    state: AppState,
    pub(super) router: Router<AppState>,
    pub(super) list: Vec<Door>,
}

impl Doors {
    pub(super) fn new(state: AppState) -> Self {
        Self { state, router: Router::new(), list: Vec::new() }
    }

    /// Adds an address; its gate stands before its handler.
    pub(super) fn open(
        mut self,
        method: &'static str,
        path: &'static str,
        access: Access,
        handler: MethodRouter<AppState>,
    ) -> Self {
        let scope = match access {
            Access::Public => None,
            Access::Staff(_) => scopes::wanted(method, path),
            Access::Sensors => Some(TokenScope::Sensors),
        };
        let state = self.state.clone();
        let handler = match access {
            Access::Public => handler,
            Access::Staff(roles) => {
                let wanted = Wanted { roles, scope: scope.unwrap_or(TokenScope::Staff) };
                handler.route_layer(axum::middleware::from_fn_with_state((state, wanted), auth::gate))
            }
            Access::Sensors => {
                handler.route_layer(axum::middleware::from_fn_with_state(state, auth::sensor_gate))
            }
        };
        self.list.push(Door { method, path, access, scope });
        self.router = self.router.route(path, handler);
        self
    }
}
