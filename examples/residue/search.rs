//! Looking for every window of every form in a piece of memory.

use std::collections::HashMap;

use super::{
    form::{self, Form},
    needle::{Kind, Needle},
};

/// What one or several needles can look like.
pub struct Searcher {
    forms: Vec<Searched>,
    /// By the first eight bytes of a window.
    windows: HashMap<u64, Vec<Window>>,
    /// A bit per hash of those: what most of the memory is turned away by.
    filter: Box<[u64; FILTER]>,
}

/// A form and whose it is.
pub struct Searched {
    /// The needle's name.
    pub needle: String,
    /// The form.
    pub form: Form,
}

#[derive(Clone, Copy)]
struct Window {
    form: usize,
    offset: usize,
}

/// A window that was found.
pub struct Found {
    /// Index into [`Searcher::forms`].
    pub form: usize,
    /// Whether it begins the whole form.
    pub whole: bool,
}

/// A needle of which nothing can be told from what is in memory anyway.
#[derive(Debug)]
pub struct Trivial(pub String);

/// Words of the filter: a million bits, of which some thousands of windows set few.
const FILTER: usize = 1 << 14;

/// As much as is turned away at once where memory is empty.
const PAGE: usize = 4096;
const ZEROS: [u8; PAGE + 8] = [0; PAGE + 8];

impl Searcher {
    /// Prepares the search.
    ///
    /// # Errors
    /// A form has no window that could not be there by chance.
    pub fn new(needles: &[Needle]) -> Result<Self, Trivial> {
        let public: Vec<_> = needles
            .iter()
            .filter(|needle| needle.kind == Kind::Public)
            .map(|needle| needle.bytes.as_slice())
            .collect();
        let mut searcher =
            Self { forms: Vec::new(), windows: HashMap::new(), filter: Box::new([0; FILTER]) };
        for needle in needles {
            for form in form::forms(needle) {
                if searcher.add(&needle.name, form, &public) == 0 {
                    return Err(Trivial(needle.name.clone()));
                }
            }
        }
        Ok(searcher)
    }

    /// The forms that are searched for.
    pub fn forms(&self) -> &[Searched] {
        &self.forms
    }

    fn add(&mut self, needle: &str, form: Form, public: &[&[u8]]) -> usize {
        let index = self.forms.len();
        let mut added = 0;
        for (offset, window) in form.bytes.windows(form.window).enumerate() {
            let is_public = |text: &&[u8]| text.windows(window.len()).any(|part| part == window);
            if distinct(window) < 4 || public.iter().any(is_public) {
                continue;
            }
            if let Some(first) = window.first_chunk() {
                let first = u64::from_le_bytes(*first);
                // Counted once, for the first form that has it: a key is also the
                // beginning of its round keys. The beginning stays, or the whole
                // would not be known.
                if offset > 0 && self.has(needle, first, window) {
                    added += 1;
                    continue;
                }
                let (word, bit) = place(first);
                self.filter[word] |= bit;
                let window = Window { form: index, offset };
                self.windows.entry(first).or_default().push(window);
                added += 1;
            }
        }
        let needle = needle.to_owned();
        self.forms.push(Searched { needle, form });
        added
    }

    fn has(&self, needle: &str, first: u64, window: &[u8]) -> bool {
        let mut others = self.windows.get(&first).into_iter().flatten();
        others.any(|other| {
            // The form that is being added is not among the forms yet.
            self.forms.get(other.form).is_some_and(|searched| {
                let rest = searched.form.bytes.get(other.offset..);
                searched.needle == needle && rest.is_some_and(|rest| rest.starts_with(window))
            })
        })
    }

    /// Tells of every window in `memory`, which begins at a page.
    pub fn search(&self, memory: &[u8], mut tell: impl FnMut(Found)) {
        let mut at = 0;
        while let Some(first) = memory.get(at..).and_then(<[u8]>::first_chunk) {
            if at % PAGE == 0 && memory.get(at..at + ZEROS.len()) == Some(&ZEROS) {
                at += PAGE;
                continue;
            }
            let first = u64::from_le_bytes(*first);
            let (word, bit) = place(first);
            if self.filter[word] & bit != 0 {
                self.look(memory, at, first, &mut tell);
            }
            at += 1;
        }
    }

    #[cold]
    fn look(&self, memory: &[u8], at: usize, first: u64, tell: &mut impl FnMut(Found)) {
        for window in self.windows.get(&first).into_iter().flatten() {
            let form = &self.forms[window.form].form;
            let rest = &memory[at..];
            if rest.starts_with(&form.bytes[window.offset..window.offset + form.window]) {
                let whole = window.offset == 0 && rest.starts_with(&form.bytes);
                tell(Found { form: window.form, whole });
            }
        }
    }
}

/// The filter's word and bit.
fn place(first: u64) -> (usize, u64) {
    let hash = first.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

fn distinct(window: &[u8]) -> usize {
    let new = |at: &usize| !window[..*at].contains(&window[*at]);
    (0..window.len()).filter(new).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dek() -> Needle {
        let bytes = (0..32_u8).map(|at| at.wrapping_mul(37) ^ 11).collect();
        Needle { name: "dek".to_owned(), kind: Kind::Dek, bytes }
    }

    fn found(searcher: &Searcher, memory: &[u8]) -> Vec<(String, bool)> {
        let mut all = Vec::new();
        searcher.search(memory, |found| {
            all.push((searcher.forms()[found.form].form.name.clone(), found.whole));
        });
        all
    }

    #[test]
    fn every_window_of_every_form_at_every_alignment() {
        let searcher = Searcher::new(&[dek()]).unwrap();
        for form in form::forms(&dek()) {
            for (offset, window) in form.bytes.windows(form.window).enumerate() {
                let mut memory = vec![0; 3 * PAGE];
                let at = PAGE - 3 + offset % 8;
                memory[at..at + window.len()].copy_from_slice(window);
                let hits = found(&searcher, &memory);
                assert!(!hits.is_empty(), "{} at {offset}", form.name);
            }
        }
    }

    #[test]
    fn a_whole_is_told_from_a_piece() {
        let searcher = Searcher::new(&[dek()]).unwrap();
        let mut memory = vec![0; PAGE];
        memory[5..37].copy_from_slice(&dek().bytes);
        let raw = |hits: Vec<(String, bool)>| {
            let raw = hits.into_iter().filter(|(name, _)| name == "raw");
            raw.map(|(_, whole)| whole).collect::<Vec<_>>()
        };
        let hits = raw(found(&searcher, &memory));
        assert_eq!(hits.iter().filter(|whole| **whole).count(), 1);
        assert_eq!(hits.len(), 25, "windows of 32 bytes");
        memory[36] ^= 1;
        let hits = raw(found(&searcher, &memory));
        assert_eq!((hits.len(), hits.contains(&true)), (24, false));
        memory[12] ^= 1;
        memory[20] ^= 1;
        memory[28] ^= 1;
        assert_eq!(raw(found(&searcher, &memory)).len(), 0, "seven bytes are none");
    }

    #[test]
    fn random_memory_has_none() {
        let searcher = Searcher::new(&[dek()]).unwrap();
        let mut memory = vec![0; 1 << 20];
        getrandom::fill(&mut memory).unwrap();
        assert_eq!(found(&searcher, &memory).len(), 0);
        memory.fill(0);
        assert_eq!(found(&searcher, &memory).len(), 0);
    }

    #[test]
    fn what_is_public_is_no_find() {
        let mut public = dek();
        public.kind = Kind::Public;
        public.bytes.truncate(16);
        let searcher = Searcher::new(&[dek(), public]).unwrap();
        let mut memory = vec![0; 64];
        memory[..16].copy_from_slice(&dek().bytes[..16]);
        assert_eq!(found(&searcher, &memory).len(), 0);
        memory[..32].copy_from_slice(&dek().bytes);
        assert!(!found(&searcher, &memory).is_empty());
    }

    #[test]
    fn a_needle_that_is_everywhere_is_refused() {
        let mut zeros = dek();
        (zeros.kind, zeros.bytes) = (Kind::Bytes, vec![0; 32]);
        assert_eq!(Searcher::new(&[zeros]).err().unwrap().0, "dek");
    }
}
