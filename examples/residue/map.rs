//! The maps of a process, as proc(5) describes them.

use std::{fs, io, ops::Range, path::Path};

/// A map of the target.
#[derive(Clone, Debug)]
pub struct Map {
    /// Its addresses.
    pub range: Range<u64>,
    /// Whether the process itself may read it.
    pub readable: bool,
    /// Whether its pages are this process's own.
    pub private: bool,
    /// What it is of: a path, `[heap]`, or nothing.
    pub name: String,
}

/// In which kind of map something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `[heap]`: what `brk` gives.
    Heap,
    /// `[stack]`: the main thread's.
    MainStack,
    /// An anonymous map that a thread's stack pointer is in.
    ThreadStack,
    /// Another anonymous map: the allocator's arenas, locked memory.
    Anonymous,
    /// A private map of a file: a program's data.
    File,
    /// A shared map.
    Shared,
    /// A map that the process itself may not read.
    NoAccess,
    /// The kernel's own: `[vdso]` and its like.
    Kernel,
}

impl Place {
    /// As the report says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::MainStack => "main stack",
            Self::ThreadStack => "thread stack",
            Self::Anonymous => "anonymous",
            Self::File => "file",
            Self::Shared => "shared",
            Self::NoAccess => "no access",
            Self::Kernel => "kernel",
        }
    }
}

impl Map {
    /// What kind of map it is, given the stack pointers of all threads.
    pub fn place(&self, stack_pointers: &[u64]) -> Place {
        match self.name.as_str() {
            _ if !self.readable => Place::NoAccess,
            "[heap]" => Place::Heap,
            "[stack]" => Place::MainStack,
            "" | "[anon]" if stack_pointers.iter().any(|at| self.range.contains(at)) => {
                Place::ThreadStack
            }
            "" => Place::Anonymous,
            name if name.starts_with("[anon") => Place::Anonymous,
            name if name.starts_with('[') => Place::Kernel,
            _ if self.private => Place::File,
            _ => Place::Shared,
        }
    }

    /// Whether the kernel keeps it from every other process.
    pub fn is_secret(&self) -> bool {
        self.name.starts_with("/secretmem")
    }
}

/// The maps of the process under `/proc/PID`.
///
/// # Errors
/// They may not be read, or are not as documented.
pub fn maps(process: &Path) -> io::Result<Vec<Map>> {
    let text = fs::read_to_string(process.join("maps"))?;
    let parsed = text.lines().map(|line| map(line).ok_or(line));
    parsed.collect::<Result<_, _>>().map_err(|line| {
        let why = format!("/proc/PID/maps has a line that is none: {line}");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

fn map(line: &str) -> Option<Map> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    let (rights, rest) = rest.split_once(' ')?;
    // Offset, device and inode, then the name after as many spaces as align it.
    let name = rest.splitn(4, ' ').nth(3).unwrap_or_default().trim_start();
    Some(Map {
        range: address(start)?..address(end)?,
        readable: rights.starts_with('r'),
        private: rights.ends_with('p'),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_told_apart() {
        let lines = [
            ("55d0-66d0 r--p 00000000 fe:00 1234                       /bin/a b", Place::File),
            ("7f00-7f10 rw-p 00000000 00:00 0 ", Place::Anonymous),
            ("7f20-7f40 rw-p 00000000 00:00 0", Place::ThreadStack),
            ("7f40-7f50 ---p 00000000 00:00 0 ", Place::NoAccess),
            ("5500-5510 rw-p 00000000 00:00 0                          [heap]", Place::Heap),
            ("7ffd-7fff rw-p 00000000 00:00 0                          [stack]", Place::MainStack),
            ("7fe0-7ff0 r-xp 00000000 00:00 0                          [vdso]", Place::Kernel),
            ("7000-7100 rw-s 00000000 00:0d 99   /secretmem (deleted)", Place::Shared),
        ];
        for (line, place) in lines {
            let map = map(line).unwrap();
            assert_eq!(map.place(&[0x7f30, 0x7f45]), place, "{line}");
            assert_eq!(map.is_secret(), line.contains("secretmem"));
        }
        assert_eq!(map(lines[0].0).unwrap().name, "/bin/a b");
        assert!(map("nonsense").is_none());
    }

    #[test]
    fn ones_own_maps() {
        let maps = maps(Path::new("/proc/self")).unwrap();
        assert!(maps.iter().any(|map| map.name == "[stack]" && map.readable));
    }
}
