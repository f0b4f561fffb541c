//! Folders that look like cgroups, for what this machine's kernel can't show.

use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use super::dir::{Counted, value};
use super::root::{lives, own_folder};
use super::*;
use crate::system::kernel;
use crate::system::stat::Stat;

#[test]
fn the_own_cgroup_is_found_where_it_is_mounted() {
    let hybrid = "29 28 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let own = "9:name=systemd:/\n0::/\n";
    let found = own_folder(hybrid, own);
    assert_eq!(found, Some("/sys/fs/cgroup/unified/".into()));
    let unified = "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
    let found = own_folder(unified, "0::/system.slice/jobcell.service\n");
    assert_eq!(
        found,
        Some("/sys/fs/cgroup/system.slice/jobcell.service".into())
    );
    // A container may see only its part of the tree.
    let part = "30 1 0:26 /pod/a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let found = own_folder(part, "0::/pod/a/b\n");
    assert_eq!(found, Some("/sys/fs/cgroup/b".into()));
    assert_eq!(own_folder(hybrid, "4:memory:/\n"), None);
    assert_eq!(own_folder("", own), None);
}

/// A folder that looks like the cgroup of a process that has ended.
pub(crate) fn ended(files: &[(&str, &str)], caps: &Caps) -> (tempfile::TempDir, Cgroup) {
    let folder = tempfile::tempdir().unwrap();
    let always = [
        ("cgroup.kill", ""),
        ("cgroup.procs", ""),
        ("cgroup.events", "populated 0\nfrozen 0\n"),
    ];
    for (name, text) in always.iter().chain(files) {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut cgroup = counting(folder.path(), Counted::ALL);
    cgroup.bound(caps);
    (folder, cgroup)
}

fn counting(folder: &Path, counted: Counted) -> Cgroup {
    let dir = Dir::open(folder.to_owned(), counted).unwrap();
    Cgroup::new(Arc::new(dir))
}

#[test]
fn what_the_kernel_refused_is_told_where_the_run_was_bounded_and_only_there() {
    let killed = ("memory.events", "low 0\nmax 9\noom 1\noom_kill 1\n");
    let by_machine = ("memory.events", "low 0\nmax 0\noom 0\noom_kill 1\n");
    let full = ("pids.events", "max 3\n");
    let (memory, processes) = (
        Caps {
            memory: Some(1 << 20),
            ..Caps::default()
        },
        Caps {
            processes: Some(5),
            ..Caps::default()
        },
    );
    let refused = |files: &[(&str, &str)], caps: Caps| ended(files, &caps).1.total().refused;
    assert_eq!(refused(&[killed], memory), Some(Cap::Memory));
    assert_eq!(refused(&[by_machine], memory), None);
    assert_eq!(refused(&[killed, full], processes), Some(Cap::Processes));
    assert_eq!(refused(&[killed, full], Caps::default()), None);
    // Whoever bounds all of the machine refused this one.
    let few = ("pids.peak", "4\n");
    assert_eq!(refused(&[full, few], processes), None);
    let all = ("pids.peak", "5\n");
    assert_eq!(refused(&[full, all], processes), Some(Cap::Processes));
}

#[test]
fn what_others_have_by_now_is_neither_killed_nor_counted() {
    let files = [("cgroup.procs", "1\n"), ("cpu.stat", "usage_usec 7000\n")];
    let (folder, _) = ended(&files, &Caps::default());
    let pool = Arc::new(Pool::default());
    let of_pool = |before_us, counted| Cgroup {
        before_us,
        pool: Arc::downgrade(&pool),
        ..counting(folder.path(), counted)
    };
    let cgroup = of_pool(3000, Counted::of(""));
    let total = cgroup.total();
    assert_eq!(total.cpu_time, Duration::from_micros(4000));
    assert_eq!(cgroup.sample(None).processes, 1);
    cgroup.leave(&total, false);
    cgroup.kill();
    cgroup.leave(&total, false);
    let killed = fs::read_to_string(folder.path().join("cgroup.kill")).unwrap();
    assert_eq!(
        (killed.as_str(), cgroup.sample(None)),
        ("", Sample::default())
    );
    let next = pool.take().map(|unused| unused.cpu_us);
    assert_eq!(next, Some(7000));
    assert!(pool.take().is_none(), "one was given");
    // Others than we may have killed all of them.
    of_pool(0, Counted::of("")).leave(&total, false);
    of_pool(0, Counted::of("")).leave(&total, true);
    assert!(pool.take().is_none());
    of_pool(0, Counted::of("cpu pids")).leave(&total, false);
    assert!(pool.take().is_none(), "what was counted is the next run's");
}

#[test]
fn what_was_killed_takes_in_nobody_again() {
    let root = match Root::find("jobcell-test-killed") {
        Ok(root) => root,
        Err(reason) => return eprintln!("left out: this machine gives no cgroups ({reason})"),
    };
    let first = root.take("0192-run").unwrap();
    let folder = first.dir.path().to_owned();
    assert!(kernel::lives_in(first.handle()).unwrap());
    first.kill();
    let lives = kernel::lives_in(first.handle()).unwrap();
    eprintln!("who is started in a cgroup that was killed lives: {lives}");
    first.leave(&first.total(), false);
    assert!(!folder.exists());
    let second = root.take("0192-run").unwrap();
    assert!(kernel::lives_in(second.handle()).unwrap());
    second.remove();
}

#[test]
fn a_run_is_found_by_its_mark_and_by_its_name_of_earlier_versions() {
    let root = match Root::find("jobcell-test-marks") {
        Ok(root) => root,
        Err(reason) => return eprintln!("left out: this machine gives no cgroups ({reason})"),
    };
    let [one, other] = ["0192-one", "0192-other"].map(|run| root.take(run).unwrap());
    let owner = one.dir.path().to_str().unwrap().rsplit_once('@').unwrap().1;
    let named = root.folder().join(format!("0192-one.3@{owner}"));
    fs::create_dir(&named).unwrap();
    let found = of_trace(&root.trace("0192-one")).unwrap();
    let mut paths: Vec<_> = found.iter().map(|found| found.dir.path()).collect();
    paths.sort_unstable();
    assert_eq!(paths, [&named, one.dir.path()]);
    assert!(of_trace(&root.trace("0192")).unwrap().is_empty());
    fs::remove_dir(&named).unwrap();
    one.remove();
    other.remove();
}

#[test]
fn only_what_is_like_new_is_taken_again() {
    let pool = Pool::default();
    let folders = ["populated 1\nfrozen 0\n", "populated 0\nfrozen 1\n"].map(|events| {
        let (folder, cgroup) = ended(&[("cgroup.events", events)], &Caps::default());
        let dir = Arc::clone(&cgroup.dir);
        pool.give(Unused::new(dir, 0));
        folder
    });
    assert!(pool.take().is_none());
    let (folder, cgroup) = ended(&[], &Caps::default());
    fs::create_dir(folder.path().join("its-own")).unwrap();
    if folder.path().metadata().unwrap().nlink() < 2 {
        return eprintln!("left out: folders here do not tell how many they hold");
    }
    let dir = Arc::clone(&cgroup.dir);
    pool.give(Unused::new(dir, 0));
    assert!(pool.take().is_none());
    drop(folders);
}

#[test]
fn the_next_one_is_looked_at_ahead_and_that_is_believed_for_a_moment() {
    let taken = |seen: Option<Instant>| {
        let (_folder, cgroup) = ended(&[("cgroup.events", "populated 1\n")], &Caps::default());
        let pool = Pool::default();
        let mut unused = Unused::new(Arc::clone(&cgroup.dir), 0);
        unused.like_new = seen;
        pool.give(unused);
        pool.take().is_some()
    };
    let now = Instant::now();
    assert!(taken(now.checked_add(Duration::from_secs(60))));
    assert!(!taken(now.checked_sub(pool::HOLDS)));
    assert!(!taken(None));
    let seen = |events| {
        let (_folder, cgroup) = ended(&[("cgroup.events", events)], &Caps::default());
        let pool = Pool::default();
        pool.give(Unused::new(Arc::clone(&cgroup.dir), 0));
        pool.check_next();
        pool.take().is_some_and(|unused| unused.like_new.is_some())
    };
    assert!(seen("populated 0\nfrozen 0\n"));
    assert!(!seen("populated 0\nfrozen 1\n"));
}

#[test]
fn numbers_are_found_behind_their_keys() {
    assert_eq!(value("populated 0\nfrozen 1\n", "frozen"), Some(1));
    assert_eq!(value("populated 0\n", "frozen"), None);
}

#[test]
fn an_owner_lives_only_as_who_it_was() {
    let own = std::process::id();
    let stat = Stat::look(own.cast_signed()).unwrap();
    let start = stat.map_or(0, |stat| stat.start);
    assert!(lives(&format!("{own}-{start}")));
    assert!(!lives(&format!("{own}-{}", start + 1)));
    assert!(!lives("nobody"));
}
