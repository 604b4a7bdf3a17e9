//! The list of addresses. A line that does not say who may call it does not compile.

use axum::Router;
use axum::routing::MethodRouter;

use super::{AppState, auth};
use crate::domain::role::Role;

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
        let handler = match access {
            Access::Public => handler,
            Access::Staff(roles) => handler
                .route_layer(axum::middleware::from_fn_with_state((self.state.clone(), roles), auth::gate)),
            Access::Sensors => handler
                .route_layer(axum::middleware::from_fn_with_state(self.state.clone(), auth::sensor_gate)),
        };
        self.list.push(Door { method, path, access });
        self.router = self.router.route(path, handler);
        self
    }
}
