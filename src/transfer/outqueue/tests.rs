//! Unit tests of the output queue, with a sink that takes as much as it is told to.

use std::sync::Arc;

use super::*;

/// Takes `room` bytes of memory, then is full.
struct Narrow {
    room: usize,
    taken: Vec<u8>,
    calls: usize,
}

impl Sink for Narrow {
    fn write_vectored(&mut self, slices: &[IoSlice<'_>], _: bool) -> io::Result<Copied> {
        self.calls += 1;
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let moved = bytes.len().min(self.room);
        self.room -= moved;
        self.taken.extend_from_slice(&bytes[..moved]);
        Ok(if moved == 0 { Copied::SinkFull } else { Copied::Moved(moved) })
    }

    fn send_file(&mut self, _: u64, _: u64) -> Result<Copied, SendError> {
        Ok(Copied::SourceEnded)
    }
}

#[test]
fn shared_ranges_of_one_block_leave_in_one_piece() {
    let block = Arc::new(b"one two three".to_vec());
    let mut queue = OutQueue::default();
    for (start, end) in [(0, 4), (4, 8), (8, 13)] {
        queue.push_shared(Shared { block: Arc::clone(&block), start, end });
    }
    assert_eq!((queue.segments.get().len(), queue.message_bytes()), (1, 13));
    let mut sink = Narrow { room: 99, taken: Vec::new(), calls: 0 };
    assert_eq!(queue.flush(&mut sink, 1000).expect("the sink takes it"), Flush::Drained);
    assert_eq!((sink.taken.as_slice(), sink.calls), (&b"one two three"[..], 1));
    assert_eq!((queue.memory_bytes(), queue.message_bytes()), (0, 0));
}

#[test]
fn messages_of_a_few_bytes_cost_little_more_than_that() {
    const MESSAGES: usize = 100_000;
    let mut queue = OutQueue::default();
    for number in 0..MESSAGES {
        // Each has come in a turn of its own, or between others.
        let block = Arc::new(b"a|hi\n--------".repeat(1 + number % 50));
        queue.push_shared(Shared { block, start: 0, end: 5 });
    }
    assert_eq!(queue.message_bytes(), 5 * MESSAGES);
    let held = queue.segments.get().iter().map(|segment| match segment {
        Segment::Shared(shared) => shared.block.capacity(),
        _ => 0,
    });
    let queue_bytes = queue.segments.get().capacity() * size_of::<Segment>();
    let held = held.sum::<usize>() + queue_bytes;
    assert!(held <= queue.message_cost() + JOIN_BYTES_MAX, "{held}");
    assert!(queue.message_cost() < 6 * MESSAGES, "{}", queue.message_cost());
}

#[test]
fn a_segment_that_stands_alone_counts_for_all_it_costs() {
    let mut queue = OutQueue::default();
    for _ in 0..1000 {
        queue.push_shared(Shared { block: Arc::new(b"hi\n".to_vec()), start: 0, end: 3 });
        queue.push(b"x".to_vec());
    }
    assert_eq!(queue.message_cost(), 1000 * (3 + SEGMENT_BYTES));
    assert_eq!(queue.memory_cost(), 1000 * (4 + 2 * SEGMENT_BYTES));
    let mut sink = Narrow { room: usize::MAX, taken: Vec::new(), calls: 0 };
    assert_eq!(queue.flush(&mut sink, u64::MAX).expect("no error"), Flush::Drained);
    assert_eq!((queue.message_cost(), queue.memory_cost()), (0, 0));
}

#[test]
fn a_full_sink_keeps_the_rest_in_order() {
    let mut queue = OutQueue::default();
    queue.push(b"hello ".to_vec());
    queue.push_shared(Shared { block: Arc::new(b"wide ".to_vec()), start: 0, end: 5 });
    queue.push(b"world".to_vec());
    let mut sink = Narrow { room: 8, taken: Vec::new(), calls: 0 };
    assert_eq!(queue.flush(&mut sink, 1000).expect("no error"), Flush::SinkFull);
    assert_eq!((queue.memory_bytes(), queue.message_bytes()), (8, 3));
    sink.room = 99;
    assert_eq!(queue.flush(&mut sink, 1000).expect("no error"), Flush::Drained);
    assert_eq!(sink.taken, b"hello wide world");
}

#[test]
fn memory_keeps_to_the_budget_too() {
    let mut queue = OutQueue::default();
    queue.push(vec![b'a'; JOIN_BYTES_MAX]);
    queue.push_shared(Shared { block: Arc::new(b"wide ".to_vec()), start: 0, end: 5 });
    queue.push(b"world".to_vec());
    let mut sink = Narrow { room: usize::MAX, taken: Vec::new(), calls: 0 };
    let budget = JOIN_BYTES_MAX as u64 + 2;
    assert_eq!(queue.flush(&mut sink, budget).expect("no error"), Flush::Budget);
    assert_eq!((sink.taken.len(), sink.calls), (JOIN_BYTES_MAX + 2, 1));
    assert_eq!((queue.memory_bytes(), queue.message_bytes()), (8, 3));
    assert_eq!(queue.flush(&mut sink, budget).expect("no error"), Flush::Drained);
    assert!(sink.taken.ends_with(b"wide world"));
}

#[test]
fn a_source_that_ends_early_tells_what_is_missing() {
    let mut queue = OutQueue::default();
    queue.push_file(10, 90);
    let mut sink = Narrow { room: 99, taken: Vec::new(), calls: 0 };
    let ended = queue.flush(&mut sink, 1000).expect("no error");
    assert_eq!(ended, Flush::SourceEnded { missing: 90 });
    assert!(queue.is_empty() && !queue.has_source());
}

#[test]
fn an_empty_queue_gives_its_memory_back_and_no_other_does() {
    let mut queue = OutQueue::default();
    queue.push(b"hello".to_vec());
    queue.release();
    assert_eq!((queue.memory_bytes(), queue.segments.0.is_some()), (5, true));
    let mut sink = Narrow { room: 99, taken: Vec::new(), calls: 0 };
    assert_eq!(queue.flush(&mut sink, 1000).expect("no error"), Flush::Drained);
    assert!(queue.segments.0.is_some());
    queue.release();
    assert!(queue.segments.0.is_none() && queue.is_empty());
}

#[test]
fn a_stall_begins_where_nothing_is_taken_and_anew_with_each_byte() {
    let mut queue = OutQueue::default();
    queue.push(b"hello".to_vec());
    queue.note_stall(false, 10, 0);
    assert_eq!(queue.stall(), None);
    queue.note_stall(true, 20, 7);
    assert_eq!(queue.stall(), Some(&Stall::new(20, 7)));
    queue.note_stall(true, 30, 7);
    assert_eq!(queue.stall(), Some(&Stall::new(20, 7)), "nothing was sent since");
    assert_eq!(queue.stall_mut().copied(), Some(Stall::new(20, 7)));
    queue.note_stall(true, 40, 8);
    assert_eq!(queue.stall(), Some(&Stall::new(40, 8)), "a byte was");
    queue.note_stall(false, 50, 8);
    assert_eq!(queue.stall(), None);
    // What is full and has nothing to take waits for nothing.
    queue.note_stall(true, 60, 8);
    let mut sink = Narrow { room: 99, taken: Vec::new(), calls: 0 };
    assert_eq!(queue.flush(&mut sink, 1000).expect("no error"), Flush::Drained);
    queue.note_stall(true, 70, 13);
    assert_eq!(queue.stall(), None);
}

#[test]
fn few_bytes_join_the_last_ones_and_many_stand_alone() {
    const MANY: usize = JOIN_BYTES_MAX;
    let segments = |pushed: &[usize]| {
        let mut queue = OutQueue::default();
        for bytes in pushed {
            queue.push(vec![b'x'; *bytes]);
        }
        let segments = queue.segments.get().iter().filter_map(Segment::memory);
        segments.map(<[u8]>::len).collect::<Vec<_>>()
    };
    assert_eq!(segments(&[0]), [0; 0]);
    assert_eq!(segments(&[3, 4, MANY - 1]), [MANY + 6]);
    assert_eq!(segments(&[3, MANY]), [3, MANY]);
    assert_eq!(segments(&[MANY, 3]), [MANY, 3]);
}

#[test]
fn a_file_is_at_its_next_piece_until_it_is_cut() {
    let mut queue = OutQueue::default();
    assert_eq!(queue.file_offset(), None);
    queue.push(b"head".to_vec());
    queue.push_file(10, 0);
    assert_eq!((queue.file_offset(), queue.has_source()), (None, false));
    queue.push_file(10, 90);
    queue.push_file(100, 5);
    assert_eq!((queue.file_offset(), queue.has_source()), (Some(10), true));
    queue.cut_file();
    assert_eq!((queue.file_offset(), queue.has_source()), (None, false));
    assert_eq!((queue.memory_bytes(), queue.is_empty()), (4, false));
}
