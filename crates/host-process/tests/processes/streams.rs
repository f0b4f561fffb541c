//! What goes into processes and comes out of them.

use std::future::Future;

use jobcell_host_process::{Child, Exit, Launch, Program, Sink};
use jobcell_model::OutputStream;
use jobcell_plugin_host::EffectGate;
use jobcell_plugin_host::bindings::types::Failure;

use crate::support::{Held, PATIENCE, Run, eventually, in_both, shell};

in_both! {
async fn exit_codes_and_signals_are_told_apart(held: Held) {
    assert_eq!(Run::new(held).output(&shell("exit 0")).await.0, Exit::Code(0));
    assert_eq!(Run::new(held).output(&shell("exit 3")).await.0, Exit::Code(3));
    assert_eq!(Run::new(held).output(&shell("kill -9 $$")).await.0, Exit::Signal(9));
}

async fn both_streams_are_kept_and_input_is_delivered(held: Held) {
    let mut launch = shell("cat; echo out; echo err >&2");
    launch.stdin = "ä in\n".into();
    let run = Run::new(held);
    let scope = run.scope.clone();
    run.start(&launch).await
        .wait()
        .await
        .unwrap();
    let (output, summary) = scope.output().take();
    assert_eq!(
        output.text_of(|stream| stream == OutputStream::Stdout),
        "ä in\nout\n"
    );
    assert_eq!(
        output.text_of(|stream| stream == OutputStream::Stderr),
        "err\n"
    );
    assert_eq!((summary.stdout_bytes, summary.stderr_bytes), (10, 4));
}

async fn input_that_nobody_reads_holds_nothing_up(held: Held) {
    let mut launch = shell("exit 0");
    launch.stdin = vec![b'x'; 4 << 20];
    assert_eq!(Run::new(held).output(&launch).await.0, Exit::Code(0));
}

async fn a_folder_that_is_not_there_or_is_none_is_told(held: Held) {
    for folder in ["/nowhere/at/all", "/etc/hostname"] {
        let mut launch = shell("exit 0");
        launch.working_directory = folder.into();
        let run = Run::new(held);
        let Err(Failure::NotFound(detail)) = Child::start(&launch, &run.place).await else {
            panic!("{folder}: it was started");
        };
        assert_eq!(detail.code, "path_not_found");
        assert!(detail.message.contains(folder), "{}", detail.message);
        assert_eq!(run.cgroups(), 0);
    }
}

async fn the_environment_holds_only_what_was_granted(held: Held) {
    let mut launch = shell("/usr/bin/env");
    launch.program = Program::open("/usr/bin/env".as_ref(), None).unwrap();
    launch.arguments.clear();
    launch.environment = vec![("A".into(), "b c".into())];
    assert_eq!(Run::new(held).output(&launch).await.1, "A=b c\n");
}

async fn a_plugin_reads_what_is_piped_in_pieces_of_its_size(held: Held) {
    let mut launch = shell("printf 12345; echo e >&2");
    launch.stdout = Sink::Pipe;
    launch.stderr = Sink::Tee;
    let run = Run::new(held);
    let scope = run.scope.clone();
    let mut child = run.start(&launch).await;
    let mut read = Vec::new();
    while let Some(piece) = child.read(OutputStream::Stdout, 2).await.unwrap() {
        assert!(piece.len() <= 2);
        read.extend(piece);
    }
    assert_eq!(read, b"12345");
    assert_eq!(
        child
            .read(OutputStream::Stderr, 100)
            .await
            .unwrap()
            .unwrap(),
        b"e\n"
    );
    child.wait().await.unwrap();
    assert_eq!(scope.output().take().0.text(), "e\n");
}

async fn of_a_stream_that_a_plugin_alone_reads_it_hears_the_end_at_once(held: Held) {
    let mut launch = shell("echo a; exec >&-; exec sleep 600");
    launch.stdout = Sink::Pipe;
    let mut child = Run::new(held).start(&launch).await;
    let reading = async {
        let mut read = Vec::new();
        while let Some(piece) = child.read(OutputStream::Stdout, 100).await.unwrap() {
            read.extend(piece);
        }
        read
    };
    let read = tokio::time::timeout(PATIENCE, reading).await;
    assert_eq!(read.unwrap(), b"a\n");
    child.kill().await;
}

async fn of_a_stream_that_goes_to_both_a_plugin_hears_the_end_with_the_program(held: Held) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("last");
    let script = format!("echo a >&2; exec 2>&-; sleep 0.05; echo > {}; exit 7", file.display());
    let mut launch = shell(&script);
    launch.stderr = Sink::Tee;
    let mut child = Run::new(held).start(&launch).await;
    let mut read = Vec::new();
    while let Some(piece) = child.read(OutputStream::Stderr, 100).await.unwrap() {
        read.extend(piece);
    }
    assert_eq!(read, b"a\n");
    assert!(file.exists(), "the program goes on");
    assert_eq!(child.wait().await.unwrap(), Exit::Code(7));
}

async fn what_is_written_in_the_last_moment_is_kept(held: Held) {
    for length in [1, 4095, 4096, 4097, 60_000] {
        let run = Run::new(held);
        let script = format!("head -c {length} /dev/zero | tr '\\0' x; printf y >&2");
        let mut launch = shell(&script);
        launch.stderr = Sink::Tee;
        run.start(&launch).await.wait().await.unwrap();
        let (_, summary) = run.scope.output().take();
        assert_eq!((summary.stdout_bytes, summary.stderr_bytes), (length, 1));
    }
}

async fn what_comes_line_by_line_is_read_in_few_calls(held: Held) {
    // Slow enough that each line would be a piece of its own.
    let script = "i=0; while [ $i -lt 150 ]; do echo line >&2; sleep 0.005; i=$((i+1)); done";
    let mut launch = shell(script);
    launch.stderr = Sink::Tee;
    let run = Run::new(held);
    let mut child = run.start(&launch).await;
    let before = std::time::Instant::now();
    let (mut calls, mut length) = (0, 0);
    while let Some(piece) = child.read(OutputStream::Stderr, 64 << 10).await.unwrap() {
        calls += 1;
        length += piece.len();
    }
    assert_eq!(length, 150 * "line\n".len());
    // A call for each tenth of a second, and those at both ends.
    let most = before.elapsed().as_millis() / 100 + 3;
    assert!(calls <= most, "{calls} calls, not {most}");
}

async fn what_is_ready_is_read_in_one_call(held: Held) {
    let mut launch = shell("for i in 1 2 3 4 5; do echo $i; sleep 0.01; done; sleep 0.1; echo all >&2; exec sleep 600");
    launch.stdout = Sink::Pipe;
    let run = Run::new(held);
    let mut child = run.start(&launch).await;
    let mut read = child.read(OutputStream::Stdout, 1).await.unwrap().unwrap();
    assert_eq!(read, b"1");
    eventually("all of it", || run.scope.output().take().1.stderr_bytes > 0).await;
    read = child.read(OutputStream::Stdout, 100).await.unwrap().unwrap();
    assert_eq!(read, b"\n2\n3\n4\n5\n");
    child.kill().await;
}

async fn a_piped_stream_that_nobody_reads_holds_nothing_up(held: Held) {
    let mut launch = shell("head -c 5000000 /dev/zero");
    launch.stdout = Sink::Pipe;
    assert_eq!(Run::new(held).output(&launch).await.0, Exit::Code(0));
}

async fn a_flood_is_bounded_in_memory(held: Held) {
    let run = Run::new(held);
    let scope = run.scope.clone();
    let mut child = run.start(&shell("head -c 200000000 /dev/zero")).await;
    child.wait().await.unwrap();
    let (output, summary) = scope.output().take();
    let kept: usize = output.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    assert_eq!(kept, 2 << 20);
    assert_eq!(summary.dropped_bytes, 200_000_000 - (2 << 20));
}

async fn nothing_starts_before_the_start_is_durable(held: Held) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acted");
    let (opener, gate) = EffectGate::closed();
    let run = Run::gated(held, gate, |_| {});
    let launch = shell(&format!("echo x > {}", file.display()));
    let mut starting = Box::pin(Child::start(&launch, &run.place));
    for _ in 0..100 {
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(starting.as_mut().poll(context).is_pending())
        });
        assert!(polled.await);
        tokio::task::yield_now().await;
    }
    assert!(!file.exists());
    opener.settle(true);
    starting.await.unwrap().wait().await.unwrap();
    assert!(file.exists());
}

async fn what_can_not_be_started_says_why(held: Held) {
    let reason = async |launch: Launch| {
        let run = Run::new(held);
        let refused = Child::start(&launch, &run.place).await.err().unwrap();
        drop(run);
        match refused {
            Failure::Other(detail) | Failure::NotFound(detail) | Failure::Invalid(detail) => {
                detail.message
            }
            other => panic!("{other:?}"),
        }
    };
    let broken = tempfile::tempdir().unwrap();
    let script = broken.path().join("tool");
    std::fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut missing = shell("");
    missing.program = Program::open(&script, None).unwrap();
    assert!(reason(missing).await.contains("interpreter in its first line"));
    let garbage = broken.path().join("garbage");
    std::fs::write(&garbage, "no program").unwrap();
    std::fs::set_permissions(&garbage, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut unknown = shell("");
    unknown.program = Program::open(&garbage, None).unwrap();
    assert!(reason(unknown).await.contains("Exec format error"));
    let mut folder = shell("");
    folder.working_directory = "/nowhere".into();
    assert!(reason(folder).await.contains("/nowhere"));
    let mut nul = shell("");
    nul.arguments.push("a\0b".into());
    assert!(reason(nul).await.contains("NUL"));
    let mut variable = shell("");
    variable.environment.push(("A=B".into(), "c".into()));
    assert!(reason(variable).await.contains("A=B"));
    let mut long = shell("");
    long.arguments.push("x".repeat(1 << 20).into());
    assert!(reason(long).await.contains("too long"));
}

async fn what_was_opened_is_run_whatever_its_path_leads_to_later(held: Held) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tool");
    std::fs::copy("/bin/sh", &path).unwrap();
    let mut launch = shell("echo right; echo $0");
    launch.program = Program::open(&path, None).unwrap();
    let other = folder.path().join("other");
    std::fs::copy("/bin/false", &other).unwrap();
    std::fs::rename(&other, &path).unwrap();
    let (exit, said) = Run::new(held).output(&launch).await;
    let expected = format!("right\n{}\n", path.display());
    assert_eq!((exit, said), (Exit::Code(0), expected));
}

async fn a_pinned_script_is_run_as_it_was_checked(held: Held) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let path = write("tool", "#!/bin/sh\necho right\n");
    let hash = "d7a1fbd0b2c6e8d4a9a2a8f0a7f6bd1a0a7b8cf0a3b6a9d1a8e9f3c8b5a4d3e2";
    let wrong = Program::open(&path, Some(hash.parse().unwrap())).unwrap_err();
    let found = wrong.to_string();
    let found = found.split("SHA-256 ").nth(1).unwrap()[..64].parse().unwrap();
    let mut launch = shell("");
    launch.arguments.clear();
    launch.program = Program::open(&path, Some(found)).unwrap();
    let other = write("other", "#!/bin/sh\necho wrong\n");
    std::fs::rename(&other, &path).unwrap();
    let (exit, said) = Run::new(held).output(&launch).await;
    assert_eq!((exit, said.as_str()), (Exit::Code(0), "right\n"));
}

async fn a_slow_plugin_loses_nothing_of_a_process_that_ended(held: Held) {
    let mut launch = shell("head -c 300000 /dev/zero");
    launch.stdout = Sink::Pipe;
    let run = Run::new(held);
    let mut child = run.start(&launch).await;
    let mut length = 0;
    while let Some(piece) = child.read(OutputStream::Stdout, 1000).await.unwrap() {
        length += piece.len();
    }
    assert_eq!(length, 300_000);
}

}
