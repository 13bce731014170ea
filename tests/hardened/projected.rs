//! A directory whose files are swapped as Kubernetes swaps those of a projected
//! volume: at once, by a link that is renamed.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The directory.
pub struct Projected {
    path: PathBuf,
    generation: u32,
}

impl Projected {
    /// Makes it, with these files.
    pub fn new(path: PathBuf, files: &[(&str, &str)]) -> Self {
        fs::create_dir(&path).unwrap();
        let mut volume = Self { path, generation: 0 };
        volume.swap(files);
        for (name, _) in files {
            symlink(Path::new("..data").join(name), volume.path.join(name)).unwrap();
        }
        volume
    }

    /// Puts other files in the place of the present ones, which are gone then.
    pub fn swap(&mut self, files: &[(&str, &str)]) {
        self.generation += 1;
        let next = format!("..generation-{}", self.generation);
        fs::create_dir(self.path.join(&next)).unwrap();
        for (name, content) in files {
            fs::write(self.path.join(&next).join(name), content).unwrap();
        }
        let data = self.path.join("..data");
        let before = fs::read_link(&data).ok();
        symlink(&next, self.path.join("..data_tmp")).unwrap();
        fs::rename(self.path.join("..data_tmp"), data).unwrap();
        if let Some(before) = before {
            fs::remove_dir_all(self.path.join(before)).unwrap();
        }
    }

    /// A file's name, as a configuration gives it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}
