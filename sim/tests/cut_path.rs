//! How a TCP end finds that its peer is gone, on the simulated kernel: a path that is cut, and a
//! peer that never reads.

use landline_sim::kernel::descriptors::Object;
use landline_sim::kernel::socket::{ConnectionId, Received, Side, client_address};
use landline_sim::kernel::{Kernel, Machine, with};
use landline_sim::sys::fd::{AsFd as _, BorrowedFd, OwnedFd};
use landline_sim::sys::socket::{self, accept, listen_tcp};

const SECOND_US: u64 = 1_000_000;

/// A connection whose server's end asks after 15 s of silence, three times, and gives bytes up that
/// are not taken for so long.
fn connection(untaken_ms: Option<u64>) -> (OwnedFd, ConnectionId) {
    let listener = listen_tcp("127.0.0.1:0".parse().expect("it is an address")).expect("a port");
    socket::set_dead_peer_detection(listener.as_fd(), (15, 15, 3), untaken_ms).expect("it is TCP");
    let id = with(|kernel| {
        let (listener, _) = kernel.network.all_listeners().pop().expect("one listens");
        kernel.connect(listener, client_address(0, false), 1000).expect("one listens")
    });
    (accept(listener.as_fd()).expect("one waits").0, id)
}

/// All that is due happens; when the next thing is.
fn settle() -> Option<u64> {
    with(|kernel| {
        kernel.deliver_all();
        kernel.next_thread_due_us()
    })
}

/// Time passes until an end acts by itself; how long that was, in seconds.
fn pass(since_us: u64) -> u64 {
    let due_us = settle().expect("something is due");
    with(|kernel| kernel.now_us = due_us);
    settle();
    (due_us - since_us) / SECOND_US
}

fn errno(fd: BorrowedFd<'_>) -> Option<i32> {
    socket::receive(fd, &mut [0; 10]).err().and_then(|error| error.raw_os_error())
}

fn on_a_calm_machine(test: impl FnOnce()) {
    let mut kernel = Kernel::new(1);
    kernel.is_calm = true;
    let machine = Machine::start(kernel);
    test();
    machine.end();
}

#[test]
fn bytes_that_never_arrive_end_the_connection_after_the_user_timeout() {
    on_a_calm_machine(|| {
        let (server, id) = connection(Some(7_000));
        let cut_us = with(|kernel| {
            kernel.cut_path(id);
            kernel.now_us
        });
        assert_eq!(socket::send(server.as_fd(), b"lost", false).expect("there is room"), 4);
        assert_eq!(errno(server.as_fd()), Some(libc::EAGAIN));
        assert_eq!(pass(cut_us), 7);
        assert_eq!(errno(server.as_fd()), Some(libc::ETIMEDOUT));
        assert_eq!(errno(server.as_fd()), None, "an error is told once");
        let got = with(|kernel| kernel.client_receive(id, 10));
        assert_eq!(got, Received::Nothing, "nobody tells the other end");
    });
}

#[test]
fn a_silent_peer_behind_a_cut_path_is_found_by_keep_alive() {
    // With a user time-out it decides after a probe; without, the number of probes does.
    for (untaken_ms, found_s) in [(None, 60), (Some(1_000), 30), (Some(40_000), 45)] {
        on_a_calm_machine(|| {
            let (server, id) = connection(untaken_ms);
            assert_eq!(settle(), None, "a path that is whole needs no time-out");
            let cut_us = with(|kernel| {
                kernel.cut_path(id);
                kernel.now_us
            });
            assert_eq!(pass(cut_us), found_s, "{untaken_ms:?}");
            assert_eq!(errno(server.as_fd()), Some(libc::ETIMEDOUT));
        });
    }
}

#[test]
fn a_peer_that_never_reads_is_given_up_and_reset() {
    on_a_calm_machine(|| {
        let (server, id) = connection(Some(7_000));
        let start_us = with(|kernel| kernel.now_us);
        while socket::send(server.as_fd(), &vec![1; 65_536], false).is_ok() {
            settle();
        }
        assert_eq!(pass(start_us), 7);
        assert_eq!(errno(server.as_fd()), Some(libc::ETIMEDOUT));
        while let Received::Bytes(_) = with(|kernel| kernel.client_receive(id, 100_000)) {}
        let again = with(|kernel| kernel.client_receive(id, 10));
        assert_eq!(again, Received::End, "the reset was told by the read before");
    });
}

#[test]
fn neither_an_end_nor_a_reset_gets_over_a_cut_path() {
    for resets in [false, true] {
        on_a_calm_machine(|| {
            let (server, id) = connection(None);
            with(|kernel| kernel.cut_path(id));
            if resets {
                socket::set_reset_on_close(server.as_fd()).expect("it is TCP");
            }
            drop(server);
            settle();
            assert_eq!(with(|kernel| kernel.client_receive(id, 10)), Received::Nothing);
            let object = Object::Socket(id, Side::Client);
            let client = with(|kernel| kernel.open(object)).map(OwnedFd::from_raw);
            assert!(client.is_ok(), "the client can let go of it");
        });
    }
}
