//! Work shared out to threads and taken back in order, with a bound on what waits in memory.

use std::num::NonZeroUsize;
use std::sync::mpsc::sync_channel;
use std::thread;

/// More threads than this wait for the one that writes.
const MOST_THREADS: usize = 8;

/// Makes parts `0..count`, each on some thread, and hands them to `take` in order. `start` makes what
/// a thread keeps between parts. The error of the lowest part is returned.
pub(super) fn in_order<State, Part: Send, Error: Send>(
    count: usize,
    start: impl Fn() -> State + Sync,
    make: impl Fn(&mut State, usize) -> Result<Part, Error> + Sync,
    mut take: impl FnMut(Part) -> Result<(), Error>,
) -> Result<(), Error> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS).min(count);
    thread::scope(|scope| {
        let (start, make) = (&start, &make);
        let lanes: Vec<_> = (0..threads)
            .map(|first| {
                let (sender, lane) = sync_channel(2);
                scope.spawn(move || {
                    let mut state = start();
                    for part in (first..count).step_by(threads) {
                        let made = make(&mut state, part);
                        let last = made.is_err();
                        // A closed lane means that an earlier part failed.
                        if sender.send(made).is_err() || last {
                            break;
                        }
                    }
                });
                lane
            })
            .collect();
        for part in 0..count {
            match lanes[part % threads].recv() {
                Ok(made) => take(made?)?,
                // Its thread panicked; leaving the scope passes the panic on.
                Err(_) => break,
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_order_and_the_lowest_error_wins() {
        let mut seen = Vec::new();
        let made = in_order(
            100,
            || (),
            |(), part| Ok::<_, usize>(part),
            |part| {
                seen.push(part);
                Ok(())
            },
        );
        assert_eq!((made, seen), (Ok(()), (0..100).collect::<Vec<_>>()));
        let failed =
            in_order(100, || (), |(), part| if part % 10 == 7 { Err(part) } else { Ok(()) }, |()| Ok(()));
        assert_eq!(failed, Err(7));
        assert_eq!(in_order(0, || (), |(), _| Ok::<_, ()>(()), |()| Ok(())), Ok(()));
    }
}
