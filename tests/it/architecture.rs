//! ARCHITECTURE.md draws the table of allowed moves; this holds the drawing to the code.

use lidmark::domain::case::{CaseState, MOVES};

use crate::rooms::ARROWS;
use crate::support::checkout;

const BEGIN: &str = "<!-- table of moves: written by tests/it/architecture.rs -->";
const END: &str = "<!-- end of the table of moves -->";

/// The table as Markdown: every allowed move with who may make it and what it needs.
fn table() -> String {
    let mut lines = vec!["| From | Move | To | Who | Needs |".to_owned(), "|---|---|---|---|---|".to_owned()];
    for rule in MOVES {
        let roles: Vec<&str> = rule.roles.iter().map(|role| role.as_str()).collect();
        let needs: Vec<&str> = rule.needs.iter().map(|need| need.as_str()).collect();
        lines.push(format!(
            "| {} | `{}` | {} | {} | {} |",
            rule.from,
            rule.made,
            rule.to,
            roles.join(", "),
            needs.join(", ")
        ));
    }
    lines.join("\n")
}

/// The same as a diagram, moves between the same two states on one arrow.
fn diagram() -> String {
    let mut lines =
        vec!["```mermaid".to_owned(), "stateDiagram-v2".to_owned(), "    [*] --> reported".to_owned()];
    let mut drawn: Vec<(CaseState, CaseState, Vec<&str>)> = Vec::new();
    for rule in MOVES {
        match drawn.iter_mut().find(|(from, to, _)| *from == rule.from && *to == rule.to) {
            Some((_, _, moves)) => moves.push(rule.made.as_str()),
            None => drawn.push((rule.from, rule.to, vec![rule.made.as_str()])),
        }
    }
    for (from, to, moves) in drawn {
        lines.push(format!("    {from} --> {to} : {}", moves.join(", ")));
    }
    for state in CaseState::ALL.iter().filter(|state| !state.is_open()) {
        lines.push(format!("    {state} --> [*]"));
    }
    lines.push("```".to_owned());
    lines.join("\n")
}

#[test]
fn architecture_draws_the_table_of_moves_as_it_is() {
    let file = checkout().join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&file).expect("ARCHITECTURE.md is there");
    let (before, rest) = text.split_once(BEGIN).expect("the mark where the table begins");
    let (drawn, after) = rest.split_once(END).expect("the mark where the table ends");
    let wanted = format!("\n{}\n\n{}\n", diagram(), table());
    if drawn != wanted {
        if !crate::support::must_be_complete() {
            std::fs::write(&file, format!("{before}{BEGIN}{wanted}{END}{after}")).expect("it can be written");
        }
        panic!(
            "the table of moves has changed; outside CI this test has just rewritten ARCHITECTURE.md: commit it"
        );
    }
}

#[test]
fn architecture_draws_every_room_and_every_arrow() {
    let text = std::fs::read_to_string(checkout().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    for (room, knows) in ARROWS {
        let drawn = format!("| `{room}` | {} |", knows.join(", "));
        assert!(text.contains(&drawn), "ARCHITECTURE.md should say {drawn}");
    }
}
