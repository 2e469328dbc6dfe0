//! What `/proc/PID/smaps` tells of the memory of a process.

use std::ops::Range;

/// A mapping of a file that cannot be written to.
struct Mapping<'a> {
    range: Range<usize>,
    /// Device, inode and path.
    file: [&'a str; 3],
    /// Whether pages in it differ from the file, wherever they are now.
    changed: bool,
}

/// The private mappings of the file that holds the code at `code` which cannot be written to and have no page of their own: none in memory (`Anonymous`), none swapped out.
pub(super) fn unchanged(smaps: &str, code: usize) -> Vec<Range<usize>> {
    let mappings = parse(smaps);
    let Some(file) = mappings.iter().find(|mapping| mapping.range.contains(&code)).map(|mapping| mapping.file) else { return Vec::new() };
    mappings.into_iter().filter(|mapping| mapping.file == file && !mapping.changed).map(|mapping| mapping.range).collect()
}

fn parse(smaps: &str) -> Vec<Mapping<'_>> {
    let mut mappings: Vec<Mapping<'_>> = Vec::new();
    // Facts of a mapping that is none of these are nobody's.
    let mut known = false;
    for line in smaps.lines() {
        let words: Vec<_> = line.split_ascii_whitespace().take(6).collect();
        match *words.as_slice() {
            ["Anonymous:" | "Swap:", size, ..] => {
                if let Some(mapping) = mappings.last_mut().filter(|_| known) {
                    mapping.changed |= size != "0";
                }
            }
            [range, "r--p" | "r-xp", _, device, inode, path] if path.starts_with('/') => {
                let range = addresses(range);
                known = range.is_some();
                mappings.extend(range.map(|range| Mapping { range, file: [device, inode, path], changed: false }));
            }
            [word, ..] if !word.ends_with(':') => known = false,
            _ => {}
        }
    }
    mappings
}

fn addresses(range: &str) -> Option<Range<usize>> {
    let address = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = range.split_once('-')?;
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
00400000-00500000 r--p 00000000 fe:00 100                                /home/a/app.fcgi
Size:               1024 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
00500000-00900000 r-xp 00100000 fe:00 100                                /home/a/app.fcgi
Anonymous:             0 kB
Swap:                  0 kB
00900000-00910000 r--p 00500000 fe:00 100                                /home/a/app.fcgi
Anonymous:            64 kB
Swap:                  0 kB
00910000-00920000 r--p 00510000 fe:00 100                                /home/a/app.fcgi
Anonymous:             0 kB
Swap:                 64 kB
00920000-00930000 rw-p 00520000 fe:00 100                                /home/a/app.fcgi
Anonymous:             0 kB
Swap:                  0 kB
00930000-00940000 r--p 00000000 00:00 0
Anonymous:             0 kB
7ffd00000000-7ffd00002000 r-xp 00000000 fe:00 200                        /usr/lib/libc.so.6
Anonymous:             0 kB
Swap:                  0 kB
7ffd10000000-7ffd10002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
";

    #[test]
    fn only_mappings_of_the_program_in_which_no_page_was_changed_are_told() {
        assert_eq!(unchanged(SMAPS, 0x0050_1234), [0x0040_0000..0x0050_0000, 0x0050_0000..0x0090_0000]);
        assert!(unchanged(SMAPS, 0x7ffd_1000_0000).is_empty(), "code that lies in no file");
    }
}
