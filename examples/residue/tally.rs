//! What was found, over all samples.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use super::{
    map::Place,
    search::{Searched, Searcher},
    snapshot::{SECRET, Snapshot},
};

/// The count of a scan.
#[derive(Default, Serialize)]
pub struct Tally {
    /// How often the process was stopped.
    pub samples: usize,
    /// In how many of these there was anything.
    pub samples_with_a_find: usize,
    /// The most that was read in one sample, in bytes.
    pub bytes: usize,
    /// The longest that the process stood still, in microseconds.
    pub frozen_us: u128,
    /// The most that the kernel refused, by the name of its map, in bytes.
    pub refused: BTreeMap<String, u64>,
    /// What was searched for, in order.
    pub needles: Vec<String>,
    /// What was found.
    pub finds: Vec<Find>,
}

/// A form that was found.
#[derive(Serialize)]
pub struct Find {
    /// The needle.
    pub needle: String,
    /// The form.
    pub form: String,
    /// In how many samples.
    pub samples: usize,
    /// The most that were whole in one sample.
    pub whole: usize,
    /// The most windows in one sample.
    pub windows: usize,
    /// In which kinds of map.
    pub places: BTreeSet<&'static str>,
}

#[derive(Default)]
struct InSample {
    whole: usize,
    windows: usize,
    places: BTreeSet<Place>,
}

impl Tally {
    /// Searches one sample and adds what is in it; whether that was anything.
    pub fn add(&mut self, searcher: &Searcher, snapshot: &Snapshot) -> bool {
        // Several needles may have one name, and then count as one.
        let mut found: BTreeMap<(&str, &str), InSample> = BTreeMap::new();
        for (place, bytes) in &snapshot.pieces {
            searcher.search(bytes, |window| {
                let Searched { needle, form } = &searcher.forms()[window.form];
                let form = found.entry((needle, &form.name)).or_default();
                form.whole += usize::from(window.whole);
                form.windows += 1;
                form.places.insert(*place);
            });
        }
        self.samples += 1;
        self.samples_with_a_find += usize::from(!found.is_empty());
        self.bytes = self.bytes.max(snapshot.bytes());
        self.frozen_us = self.frozen_us.max(snapshot.frozen.as_micros());
        for (name, bytes) in &snapshot.refused {
            let most = self.refused.entry(name.clone()).or_default();
            *most = (*most).max(*bytes);
        }
        for searched in searcher.forms() {
            if !self.needles.contains(&searched.needle) {
                self.needles.push(searched.needle.clone());
            }
        }
        let any = !found.is_empty();
        for ((needle, form), found) in found {
            self.count(needle, form, &found);
        }
        any
    }

    fn count(&mut self, needle: &str, form: &str, found: &InSample) {
        let same = |find: &Find| find.needle == needle && find.form == form;
        let at = self.finds.iter().position(same).unwrap_or_else(|| {
            self.finds.push(Find {
                needle: needle.to_owned(),
                form: form.to_owned(),
                samples: 0,
                whole: 0,
                windows: 0,
                places: BTreeSet::new(),
            });
            self.finds.len() - 1
        });
        let find = &mut self.finds[at];
        find.samples += 1;
        find.whole = find.whole.max(found.whole);
        find.windows = find.windows.max(found.windows);
        find.places.extend(found.places.iter().map(|place| place.name()));
    }
}

impl Tally {
    /// What was refused that other processes can read: a scan that was kept from it
    /// has not looked. The kernel's own pages, of names in brackets, hold nothing of
    /// the process.
    pub fn unseen(&self) -> Option<String> {
        let names = self.refused.keys().map(String::as_str);
        let own = |name: &&str| *name != SECRET && !name.starts_with("[v");
        let unseen: Vec<_> = names.filter(own).collect();
        (!unseen.is_empty()).then(|| unseen.join(", "))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} samples, {} with a find; up to {} KiB read, stopped for at most {}.{} ms",
            self.samples,
            self.samples_with_a_find,
            self.bytes / 1024,
            self.frozen_us / 1000,
            self.frozen_us % 1000 / 100,
        )?;
        for (name, bytes) in &self.refused {
            writeln!(out, "the kernel refused {} KiB of {name}", bytes / 1024)?;
        }
        writeln!(
            out,
            "\n{:24}  {:48}  {:>7}  {:>5}  {:>7}  IN",
            "NEEDLE", "FORM", "SAMPLES", "WHOLE", "WINDOWS"
        )?;
        for needle in &self.needles {
            let mut none = true;
            for find in self.finds.iter().filter(|find| find.needle == *needle) {
                none = false;
                let places: Vec<_> = find.places.iter().copied().collect();
                writeln!(
                    out,
                    "{needle:24}  {:48}  {:7}  {:5}  {:7}  {}",
                    find.form,
                    find.samples,
                    find.whole,
                    find.windows,
                    places.join(", ")
                )?;
            }
            if none {
                writeln!(out, "{needle:24}  {:48}  {:7}  {:5}  {:7}", "any", 0, 0, 0)?;
            }
        }
        Ok(())
    }
}
