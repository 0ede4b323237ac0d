//! The image of a chain that somebody means by a name, and the name of one relative to another.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Chain, Layer};

/// An image of a chain that was found by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place in the chain; the top has 0.
    pub place: usize,
    /// Whether its place was the name.
    pub by_place: bool,
}

impl Chain {
    /// The image that `name` means: `TARGET[PLACE]` of the disk with this target, its name as the image above tells it, or a
    /// path that leads to the same file, from that image's folder or, for the top, from `folder`. Without a name it is the
    /// last image. With `below`, only images below the one at that place are meant.
    pub fn find(&self, name: Option<&str>, target: &str, below: Option<usize>, folder: &Path) -> Option<Found> {
        let first = below.map_or(0, |place| place + 1);
        let Some(name) = name else {
            let last = self.layers.len().checked_sub(1)?;
            return (last >= first).then_some(Found { place: last, by_place: false });
        };
        if let Some(place) = place_in(name, target) {
            let is_there = place >= first && place < self.layers.len();
            return is_there.then_some(Found { place, by_place: true });
        }
        let is_meant = |place: &usize| {
            let layer = &self.layers[*place];
            layer.relative.as_deref() == Some(name) || layer.source.path() == Some(name) || {
                let from = match place.checked_sub(1).and_then(|above| self.path(above, folder)) {
                    Some(above) => above.parent().map_or_else(PathBuf::new, Path::to_owned),
                    None => folder.to_owned(),
                };
                self.path(*place, folder).is_some_and(|path| are_one(&path, &from.join(name)))
            }
        };
        let place = (first..self.layers.len()).find(is_meant)?;
        Some(Found { place, by_place: false })
    }

    /// The name of the image at `base`, as the image above the one at `top` could tell it: made of the relative names of all
    /// images from `top` to `base`. `None` where one of them is not told relative to the image above it.
    pub fn relative_name(&self, top: usize, base: usize) -> Option<String> {
        let names = self.layers.get(top..=base)?.iter().map(|layer: &Layer| layer.relative.as_deref());
        names.collect::<Option<Vec<_>>>()?.into_iter().map(str::to_owned).reduce(|above, name| {
            match above.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{name}"),
                None => name,
            }
        })
    }

    fn path(&self, place: usize, folder: &Path) -> Option<PathBuf> {
        self.layers[place].source.path().map(|path| folder.join(path))
    }
}

/// `vda[2]` of the disk `vda`; the top is no place that can be meant so.
fn place_in(name: &str, target: &str) -> Option<usize> {
    let place = name.strip_prefix(target)?.strip_prefix('[')?.strip_suffix(']')?;
    let place = place.bytes().all(|digit| digit.is_ascii_digit()).then(|| place.parse().ok()).flatten()?;
    (!target.is_empty() && place > 0).then_some(place)
}

fn are_one(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
    one == other || identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use ostler_conf::domain::{DiskSource, FileSource};

    use super::*;

    fn chain(relative: &[Option<&str>]) -> Chain {
        let layer = |name: &Option<&str>| {
            let source =
                FileSource { file: Some(format!("/nowhere/{}", name.unwrap_or("top"))), ..FileSource::default() };
            Layer { relative: name.map(str::to_owned), ..Layer::of(DiskSource::File(source)) }
        };
        Chain { layers: relative.iter().map(layer).collect(), is_whole: true }
    }

    #[test]
    fn a_place_counts_from_the_top_of_its_own_disk() {
        let chain = chain(&[None, Some("a"), Some("b")]);
        let find =
            |name: &str, target: &str| chain.find(Some(name), target, None, Path::new("/")).map(|found| found.place);
        assert_eq!(find("vda[2]", "vda"), Some(2));
        for (name, target) in [("vda[0]", "vda"), ("vda[3]", "vda"), ("vda[1]", "vdb"), ("[1]", ""), ("vda[+1]", "vda")]
        {
            assert_eq!(find(name, target), None, "{name} of '{target}'");
        }
    }

    #[test]
    fn relative_names_add_up() {
        let chain = chain(&[None, Some("a/b"), Some("../c"), None, Some("d")]);
        assert_eq!(chain.relative_name(1, 2).as_deref(), Some("a/../c"));
        assert_eq!(chain.relative_name(4, 4).as_deref(), Some("d"));
        for (top, base) in [(0, 1), (2, 4), (2, 1), (4, 5)] {
            assert_eq!(chain.relative_name(top, base), None, "{top} to {base}");
        }
    }
}
