//! What the bench found, for people and for programs.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;

/// Everything.
#[derive(Serialize)]
pub(super) struct Report {
    /// The machine, in a few words.
    pub(super) machine: String,
    /// Optimised, or the numbers say nothing.
    pub(super) optimised: bool,
    pub(super) sections: Vec<Section>,
}

/// What is compared on one set-up.
#[derive(Serialize)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// One comparison; without a baseline, a baseline itself.
#[derive(Serialize)]
pub(super) struct Line {
    measured: &'static str,
    value: f64,
    unit: Unit,
    baseline: Option<&'static str>,
    baseline_value: Option<f64>,
    ratio: Option<f64>,
    aim: Option<Aim>,
    met: Option<bool>,
}

/// What a value counts.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Microseconds,
    PerSecond,
    Milliseconds,
    Mebibytes,
}

/// What a ratio, or a value without a baseline, should be.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Line {
    pub(super) fn new(measured: &'static str, value: f64, unit: Unit) -> Self {
        Self {
            measured,
            value,
            unit,
            baseline: None,
            baseline_value: None,
            ratio: None,
            aim: None,
            met: None,
        }
    }

    /// Holds it against a baseline. `ratio` is the median of the rounds' own
    /// ratios, which is not quite the ratio of the medians.
    pub(super) fn against(mut self, baseline: &'static str, value: f64, ratio: f64) -> Self {
        self.baseline = Some(baseline);
        self.baseline_value = Some(value);
        self.ratio = Some(ratio);
        self
    }

    pub(super) fn aim(mut self, aim: Aim) -> Self {
        self.met = Some(aim.is_met(self.ratio.unwrap_or(self.value)));
        self.aim = Some(aim);
        self
    }
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Microseconds => format!("{value:.1} µs"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Mebibytes => format!("{value:.1} MiB"),
        }
    }
}

impl Report {
    /// The tables for people.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "countersign bench: {}", self.machine)?;
        if !self.optimised {
            writeln!(out, "NOT OPTIMISED: build with --release, these say nothing")?;
        }
        for Section { title, lines } in &self.sections {
            writeln!(out, "\n{title}")?;
            writeln!(
                out,
                "  {:38} {:>11}   {:42} {:>11} {:>6}   AIM",
                "MEASURED", "", "BASELINE", "", "RATIO"
            )?;
            for line in lines {
                line.print(out)?;
            }
        }
        Ok(())
    }
}

impl Line {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let value = self.unit.show(self.value);
        let baseline = self.baseline.unwrap_or_default();
        let against = self.baseline_value.map(|value| self.unit.show(value));
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}"));
        let aim = self.aim.map(|aim| aim.to_string());
        let met = match self.met {
            Some(true) => ", met",
            Some(false) => ", MISSED",
            None => "",
        };
        let line = format!(
            "  {:38} {value:>11}   {baseline:42} {:>11} {:>6}   {}{met}",
            self.measured,
            against.unwrap_or_default(),
            ratio.unwrap_or_default(),
            aim.unwrap_or_default(),
        );
        writeln!(out, "{}", line.trim_end())
    }
}

/// Cores and processor, as the kernel names them.
pub(super) fn machine(workers: usize) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    format!("{cores} cores, {model}; {workers} workers")
}
