//! What requests did besides being answered: messages reached those they were for, in order and
//! once, and files that came whole are stored.

use std::collections::BTreeMap;

use super::client::{Client, End, Leaves};
use super::expect::{Message, Reply};
use super::request::Deed;
use super::scene::Scene;
use crate::kernel::with;

/// Judges all clients together.
pub fn judge(clients: &[Client], scene: &Scene) -> Result<(), String> {
    for client in clients {
        judge_messages(client, clients, scene)?;
        judge_unknown(client, clients, scene)?;
        judge_uploads(client, scene)?;
    }
    if with(|kernel| kernel.files.odd_opens) > 0 {
        return Err("a FIFO or a device was opened".to_owned());
    }
    Ok(())
}

fn judge_messages(reader: &Client, clients: &[Client], scene: &Scene) -> Result<(), String> {
    if !reader.is_firm() {
        return Ok(());
    }
    let messages = reader.reading(scene)?.messages;
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for message in &messages {
        let (sender, count) = origin(message)?;
        let of = |client: &&Client| client.number == sender;
        let sent = clients.iter().find(of).and_then(|client| sent(client, message));
        let to = sent.ok_or_else(|| {
            let from = clients.get(sender).map(Client::transcript).unwrap_or_default();
            format!("nobody sent {} bytes {message:.200?}\n{from}", message.text.len())
        })?;
        if to.as_ref().map_or(sender == reader.number, |to| !to.contains(&reader.number)) {
            return Err(format!("client {} is not to receive {message:?}", reader.number));
        }
        if let Some(count) = count
            && last.insert(sender, count).is_some_and(|before| before >= count)
        {
            let number = reader.number;
            return Err(format!("client {number} receives {message:?} twice or out of order"));
        }
    }
    let says_quit = reader.requests.iter().any(|request| request.deed == Deed::Quit);
    let has_farewell = reader.reading(scene)?.farewell.is_some();
    let stays = reader.end == Some(End::Clean)
        && reader.leaves == Leaves::Last
        && !says_quit
        && !has_farewell;
    if !stays || scene.may_turn_away() {
        return Ok(());
    }
    let Some(named_us) = reader.named_us else { return Ok(()) };
    for client in clients {
        if !arrives_whole(client) {
            continue;
        }
        for (request, said_us) in client.requests.iter().zip(&client.said_us) {
            let Deed::Send(to, text) = &request.deed else { continue };
            let is_for = to
                .as_ref()
                .map_or(client.number != reader.number, |to| to.contains(&reader.number));
            let is_due = *said_us > named_us && is_for;
            if is_due && !messages.iter().any(|message| message.text == *text) {
                let (from, to) = (client.transcript(), reader.transcript());
                return Err(format!("never received: {text:.40} from\n{from}\nto\n{to}"));
            }
        }
    }
    Ok(())
}

/// Whether those that a client was told there are not are so: who had a name all the time is
/// there, and who had none by then is not.
fn judge_unknown(sender: &Client, clients: &[Client], scene: &Scene) -> Result<(), String> {
    let reads_all = matches!(sender.leaves, Leaves::HalfClose | Leaves::Last);
    let is_sure = sender.is_firm() && reads_all && sender.end == Some(End::Clean);
    if !is_sure || scene.may_turn_away() {
        return Ok(());
    }
    let reading = sender.reading(scene)?;
    if reading.farewell.is_some() || reading.replies < sender.requests.len() {
        return Ok(());
    }
    for (place, request) in sender.requests.iter().enumerate() {
        // In plain it cannot be told which of several requests an error answers.
        let Reply::Framed { .. } = request.reply else { continue };
        let Deed::Send(Some(to), _) = &request.deed else { continue };
        let said_us = sender.said_us.get(place).copied().unwrap_or(0);
        let answered_us = sender.answered_us.get(place).copied().unwrap_or(u64::MAX);
        let told = reading.unknown.iter().find(|(other, _)| *other == place);
        let told: Vec<&str> = told.map_or_else(Vec::new, |(_, names)| names.split(' ').collect());
        for number in to {
            let name = format!("u{number}");
            let is_told = told.contains(&name.as_str());
            let Some(user) = clients.get(*number) else { continue };
            if is_told && stays_named(user, said_us, answered_us, scene)? {
                return Err(format!("{name} was there: {told:?}\n{}", sender.transcript()));
            }
            if !is_told && !may_be_named(user, answered_us) {
                return Err(format!("{name} was not there yet\n{}", sender.transcript()));
            }
        }
    }
    Ok(())
}

/// Whether a client certainly had its name from one time to another.
fn stays_named(user: &Client, from_us: u64, to_us: u64, scene: &Scene) -> Result<bool, String> {
    let is_named = user.named_us.is_some_and(|named_us| named_us < from_us);
    let is_left = user.left_us.is_some_and(|left_us| left_us <= to_us);
    let says_quit = user.requests.iter().any(|request| request.deed == Deed::Quit);
    let may_be_slow = scene.config.settings.limits.backlog_bytes_max < 4 << 20;
    if !is_named || is_left || says_quit || may_be_slow || !user.is_firm() {
        return Ok(false);
    }
    let is_well = user.end == Some(End::Clean) && user.leaves == Leaves::Last;
    Ok(is_well && user.reading(scene)?.farewell.is_none())
}

/// Whether a client may have had its name by then.
fn may_be_named(user: &Client, by_us: u64) -> bool {
    let place = user.requests.iter().position(|request| request.deed == Deed::Name);
    let said_us = place.and_then(|place| user.said_us.get(place));
    // A name may come without its newline, from one that left.
    let is_torn = user.is_torn() && user.left_us.is_some_and(|left_us| left_us <= by_us);
    said_us.is_some_and(|said_us| *said_us <= by_us) || is_torn
}

/// Whether all a client said reached the server, so that it must be acted on.
fn arrives_whole(client: &Client) -> bool {
    let is_said = client.said_us.len() == client.requests.len();
    match client.leaves {
        Leaves::HalfClose | Leaves::Last => is_said && client.end == Some(End::Clean),
        Leaves::Close => is_said && client.is_clean_close,
        Leaves::Reset => false,
    }
}

/// Who a message says it is from, and which of that client's it is. A torn one may not say.
fn origin(message: &Message) -> Result<(usize, Option<usize>), String> {
    let name = message.from.strip_prefix('u').and_then(|number| number.parse().ok());
    let sender: usize = name.ok_or_else(|| format!("not a message: {message:?}"))?;
    let mut words = message.text.split(':').skip(1);
    let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
    if number().is_some_and(|said| said != sender) {
        return Err(format!("another one's name: {message:?}"));
    }
    Ok((sender, number()))
}

/// To whom a client sent this.
fn sent(client: &Client, message: &Message) -> Option<Option<Vec<usize>>> {
    client.requests.iter().find_map(|request| match &request.deed {
        // The last line of a client that leaves may lack its end: it counts as it is.
        Deed::Send(to, text)
            if *text == message.text
                || client.is_torn()
                    && text.starts_with(message.text.trim_end_matches('\u{fffd}')) =>
        {
            Some(to.clone())
        }
        _ => None,
    })
}

fn judge_uploads(client: &Client, scene: &Scene) -> Result<(), String> {
    for request in &client.requests {
        let Deed::Upload { path: name, bytes, is_to_end } = &request.deed else { continue };
        let stored = with(|kernel| kernel.files.content(name));
        // What reaches to the end of input is cut where that is.
        let is_cut = |stored: &Vec<u8>| *is_to_end && bytes.starts_with(stored);
        let is_same = |stored: &Vec<u8>| stored == bytes || client.is_torn() && is_cut(stored);
        if stored.as_ref().is_some_and(|stored| !is_same(stored)) {
            return Err(format!("{name} is stored with other bytes than were sent"));
        }
        let is_left = *is_to_end && client.leaves == Leaves::Close;
        let is_left = is_left || request.excuses.contains(&"cancelled");
        let must_be = arrives_whole(client) && !is_left && !scene.may_turn_away();
        let is_behind_nasty = !client.is_firm();
        if must_be && stored.is_none() && !is_behind_nasty {
            return Err(format!("{name} of client {} came whole and is not stored", client.number));
        }
    }
    Ok(())
}
