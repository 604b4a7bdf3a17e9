//! What differs between two texts, line by line.

/// A line that only one of two texts has, or what stands between such lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Differs {
    Gone(String),
    New(String),
    /// Lines that both have and that are not shown.
    Same(usize),
}

/// Pairs of lines that are compared at most; beyond, the middle counts as changed as a whole.
const PAIRS: usize = 4_000_000;

/// The lines of `old` that are gone and those of `new` that came, in their order; empty when the texts say
/// the same.
pub(super) fn differs(old: &str, new: &str) -> Vec<Differs> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    if old.is_empty() && new.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    same(&mut found, head);
    if old.len().saturating_mul(new.len()) > PAIRS {
        found.extend(old.iter().map(|line| Differs::Gone((*line).to_owned())));
        found.extend(new.iter().map(|line| Differs::New((*line).to_owned())));
    } else {
        middle(&mut found, old, new);
    }
    same(&mut found, tail);
    found
}

fn same(found: &mut Vec<Differs>, count: usize) {
    match found.last_mut() {
        _ if count == 0 => {}
        Some(Differs::Same(before)) => *before += count,
        _ => found.push(Differs::Same(count)),
    }
}

/// By the longest run of lines that both have in common.
fn middle(found: &mut Vec<Differs>, old: &[&str], new: &[&str]) {
    let width = new.len() + 1;
    // Length of what the rests from here on have in common.
    let mut common = vec![0u32; (old.len() + 1) * width];
    for at in (0..old.len()).rev() {
        for other in (0..new.len()).rev() {
            common[at * width + other] = match old[at] == new[other] {
                true => common[(at + 1) * width + other + 1] + 1,
                false => common[(at + 1) * width + other].max(common[at * width + other + 1]),
            };
        }
    }
    let (mut at, mut other) = (0, 0);
    while at < old.len() || other < new.len() {
        if at < old.len() && other < new.len() && old[at] == new[other] {
            same(found, 1);
            (at, other) = (at + 1, other + 1);
        } else if other == new.len()
            || (at < old.len() && common[(at + 1) * width + other] >= common[at * width + other + 1])
        {
            found.push(Differs::Gone(old[at].to_owned()));
            at += 1;
        } else {
            found.push(Differs::New(new[other].to_owned()));
            other += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_line_by_line() {
        let told = |old: &str, new: &str| {
            let line = |one: &Differs| match one {
                Differs::Gone(line) => format!("-{line}"),
                Differs::New(line) => format!("+{line}"),
                Differs::Same(count) => format!("={count}"),
            };
            differs(old, new).iter().map(line).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told("a\nb\nc", "a\nb\nc\n"), "");
        assert_eq!(told("", "a\nb"), "+a +b");
        assert_eq!(told("a\nb", ""), "-a -b");
        assert_eq!(told("a\nb\nc\nd", "a\nx\nc\ny\nd"), "=1 -b +x =1 +y =1");
        assert_eq!(told("a\na", "a"), "=1 -a");
        let long = |sign: &str| (0..3000).map(|at| format!("{sign}{at}\n")).collect::<String>();
        assert_eq!(differs(&long("a"), &long("b")).len(), 6000);
    }
}
