//! 10,000 plates on A4 with proof: seconds, bytes a plate, peak memory.
//! `cargo bench --bench plates [-- COUNT [FACE [SHEET [FILE [LEVEL]]]]]` (FILE keeps the sheets);
//! the last line is JSON for `make bench`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use lidmark::domain::cover::CoverClass;
use lidmark::domain::ids::Millis;
use lidmark::domain::plate::Finish;
use lidmark::domain::token::{PlateScheme, Token, plate_payload};
use lidmark::plates::{Face, Level, Palette, PlateRun, PlateSpec, Sheet, check_plates, render_batch};
use rand::SeedableRng;
use std::time::Instant;

fn main() {
    // Cargo passes `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let count: usize = words.next().map_or(10_000, |word| word.parse().expect("COUNT is a number"));
    let face = words.next().unwrap_or_else(|| "rect-90x60".into());
    let sheet = words.next().unwrap_or_else(|| "a4".into());
    let file = words.next().unwrap_or_else(|| "/dev/null".into());
    let level = words.next().map_or(Level::H, |word| word.parse().expect("LEVEL is M, Q or H"));
    let run = PlateRun {
        face: Face::built_in().into_iter().find(|known| known.id == face).expect("FACE is built in"),
        sheet: Sheet::built_in().into_iter().find(|known| known.id == sheet).expect("SHEET is built in"),
        palette: Palette::built_in(),
        finish: Finish::Color,
        title: "bench".into(),
        dated: Millis(1_790_000_000_000),
    };
    let mut plates = plates(count, level);
    let before = peak_kib();

    let (started, worked) = (Instant::now(), cpu_s());
    check_plates(&run, &plates).expect("the plates fit");
    let (check_s, check_cpu_s) = (started.elapsed().as_secs_f64(), cpu_s() - worked);

    let (started, worked) = (Instant::now(), cpu_s());
    let mut out = std::fs::File::create(&file).expect("FILE can be written");
    let summary = render_batch(&run, &plates, &mut out).expect("the plates fit");
    let (render_s, render_cpu_s) = (started.elapsed().as_secs_f64(), cpu_s() - worked);

    for (spec, placed) in plates.iter_mut().zip(&summary.plates) {
        spec.symbol = Some(placed.symbol);
    }
    let started = Instant::now();
    render_batch(&run, &plates, &mut std::io::sink()).expect("the plates fit");
    let reprint_s = started.elapsed().as_secs_f64();

    let bytes_per_plate = summary.bytes as f64 / count as f64;
    let peak_mib = peak_kib() as f64 / 1024.0;
    println!("{count} plates, {face} on {sheet}, {} pages", summary.pages);
    println!("check    {check_s:.2} s ({check_cpu_s:.2} s of CPU)   fonts cut, every text set");
    println!(
        "render   {render_s:.2} s ({render_cpu_s:.2} s of CPU)   the same, drawn, proved, written: {:.0} plates/s",
        count as f64 / render_s
    );
    println!("again    {reprint_s:.2} s   rendered with recorded masks");
    println!("size     {bytes_per_plate:.0} B a plate, {:.2} MB", summary.bytes as f64 / 1e6);
    println!(
        "memory   {peak_mib:.0} MiB at the peak, {:.0} MiB of it the list of plates",
        before as f64 / 1024.0
    );
    println!(
        "{{\"bench\":\"plates\",\"plates\":{count},\"check_s\":{check_s:.3},\"render_s\":{render_s:.3},\"render_cpu_s\":{render_cpu_s:.2},\
         \"reprint_s\":{reprint_s:.3},\"bytes_per_plate\":{bytes_per_plate:.0},\"peak_mib\":{peak_mib:.0}}}"
    );
}

/// Roads and owners from a thousand different ideographs, as a city has them.
fn plates(count: usize, level: Level) -> Vec<PlateSpec> {
    let mut random = rand::rngs::SmallRng::seed_from_u64(1);
    let ideograph = |at: usize| char::from_u32(0x4e00 + (at * 7 % 6000) as u32).expect("within the block");
    let classes = [
        (CoverClass::Sewage, "污水井盖"),
        (CoverClass::Storm, "雨水井盖"),
        (CoverClass::WaterSupply, "上水井盖"),
        (CoverClass::Gas, "燃气井盖"),
    ];
    (0..count)
        .map(|at| {
            let token = Token::draw(&mut random);
            let (class, label) = classes[at % classes.len()];
            PlateSpec {
                token,
                payload: plate_payload(PlateScheme::Https, "lid.dongying.gov.cn", token, false),
                code_groups: Some(format!("3705{:02} 01 {:02} {:06}", at % 5 + 2, at % 9 + 1, at + 1)),
                class,
                class_label: label.into(),
                owner: format!("东营市{}{}排水管理处", ideograph(at % 400), ideograph(at % 300 + 400)),
                hotline: "0546-12345".into(),
                road: format!("{}{}路", ideograph(at % 500 + 200), ideograph(at % 300 + 700)),
                level: Some(level),
                symbol: None,
            }
        })
        .collect()
}

/// Seconds of processor time so far: what the figure is on a machine that does nothing else.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th word after it.
    let words = stat.rsplit(')').next().unwrap_or("").split_whitespace().skip(11).take(2);
    words.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
