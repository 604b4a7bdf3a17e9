//! The list of addresses in the router and the list in the contract are one list.

use std::collections::BTreeMap;

use lidmark::domain::role::Role;
use lidmark::http::{Access, Door, doors};
use serde_json::{Value, json};

use super::house::{As, House};
use crate::support::contract::contract;

/// What `x-access` must say.
fn access_word(access: Access) -> Value {
    match access {
        Access::Public => json!("public"),
        Access::Sensors => json!("sensors"),
        Access::Staff([]) => json!("staff"),
        Access::Staff(roles) => json!(roles.iter().map(|role| role.as_str()).collect::<Vec<_>>()),
    }
}

#[tokio::test]
async fn every_route_is_in_the_contract_and_every_operation_in_the_router() {
    let house = House::open().await;
    let routed: BTreeMap<(String, String), Door> = doors(&house.state)
        .into_iter()
        .map(|door| ((door.method.to_owned(), door.path.to_owned()), door))
        .collect();
    let written = contract().operations();
    let missing: Vec<_> = routed.keys().filter(|door| !written.contains(door)).collect();
    assert!(missing.is_empty(), "not in openapi.yaml: {missing:?}");
    let stale: Vec<_> = written.iter().filter(|operation| !routed.contains_key(operation)).collect();
    assert!(stale.is_empty(), "not in the router: {stale:?}");
    for ((method, path), Door { access, scope, .. }) in &routed {
        let operation = contract().operation(method, path).unwrap();
        assert_eq!(operation["x-access"], access_word(*access), "{method} {path}");
        let open = operation["security"] == json!([]);
        assert_eq!(open, *access == Access::Public, "{method} {path}: security");
        let wanted = scope.map(|scope| scope.as_str());
        assert_eq!(operation["x-scope"].as_str(), wanted, "{method} {path}: x-scope");
        // What no group of `http/scopes.rs` names is open to `staff` alone, which nobody meant.
        assert!(open || wanted.is_some(), "{method} {path}: no scope");
    }
}

/// The declared access is the real one: nobody gets 401 (pages: the log-in form), a role that is not
/// named gets 403, and neither learns whether the thing exists.
#[tokio::test]
async fn nobody_and_wrong_roles_stop_at_every_door_that_says_so() {
    let house = House::open().await;
    for door in doors(&house.state) {
        let Access::Staff(roles) = door.access else { continue };
        let path = door
            .path
            .replace("{kind}", "district")
            .replace("{name}", "survey")
            .replace("{number}", "2026-000001")
            .replace("{code}", "3705020102000001")
            .replace("{token}", "000000000000")
            .replace("{digest}", &"0".repeat(64))
            .replace("{sequence}", "1")
            .replace("{serial}", "LM-000001")
            .replace("{id}", "019aafe2-7c00-7000-8000-000000000001");
        let nobody = house.ask(As::Nobody, door.method, &path).send().await;
        let is_page = door.method == "GET" && !["/api/", "/tiles/"].iter().any(|of| path.starts_with(of));
        assert_eq!(nobody.status, if is_page { 303 } else { 401 }, "{} {path}", door.method);
        let forged =
            house.ask(As::Nobody, door.method, &path).header("authorization", "Bearer NONSENSE").send().await;
        assert_eq!(forged.status, nobody.status, "{} {path} with a forged token", door.method);
        for role in Role::ALL.iter().filter(|role| !roles.is_empty() && !roles.contains(role)) {
            if *role == Role::Admin {
                continue;
            }
            let answer = house.ask(As::Staff(*role), door.method, &path).send().await;
            assert_eq!(answer.status, 403, "{} {path} as {role}", door.method);
        }
    }
    house.assert_faultless();
}

/// Ids, summaries, access and refusals are there for every operation, and no `$ref` leads nowhere.
#[test]
fn every_operation_says_all_that_it_must() {
    let mut ids = Vec::new();
    for (method, path) in contract().operations() {
        let operation = contract().operation(&method, &path).unwrap();
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(id.contains('_') && !ids.contains(&id), "{id}");
        assert!(operation["summary"].as_str().is_some_and(|summary| summary.len() > 5), "{id}: summary");
        assert!(!operation["x-access"].is_null(), "{id}: x-access");
        let responses = operation["responses"].as_object().unwrap();
        if operation["x-access"] != json!("public") {
            assert!(responses.contains_key("401") || responses.contains_key("303"), "{id}: 401");
        }
        if !operation["x-scope"].is_null() {
            assert!(responses.contains_key("403"), "{id}: 403");
        }
        if ["/api/v1/", "/ogc"].iter().any(|of| path.starts_with(of)) {
            assert!(responses.contains_key("429"), "{id}: 429");
        }
        if operation.get("requestBody").is_some() {
            for status in ["400", "413", "415", "422"] {
                assert!(responses.contains_key(status), "{id}: {status}");
            }
        }
        ids.push(id);
    }
    let text = std::fs::read_to_string(crate::support::checkout().join("openapi.yaml")).unwrap();
    let document: Value = serde_yaml_ng::from_str(&text).unwrap();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                open.extend(fields.values());
            }
            _ => {}
        }
    }
}
