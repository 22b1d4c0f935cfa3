//! Which process should have which table.
//!
//! Every process knows which others are alive, and so comes to the same answer without asking anybody: a table belongs to the process whose hash together with
//! the table's is the greatest. When a process comes or goes, only its own tables move. It is a matter of fairness alone: the lease decides who works.

use forebay_storage::Topic;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// Whether a table belongs to `me` among `others`.
pub(super) fn belongs(topic: Topic, me: Uuid, others: &[Uuid]) -> bool {
    let mine = (weight(topic, me), me);
    others.iter().all(|other| (weight(topic, *other), *other) < mine)
}

fn weight(topic: Topic, process: Uuid) -> u64 {
    let mut bytes = [0; 22];
    bytes[..16].copy_from_slice(process.as_bytes());
    bytes[16..20].copy_from_slice(&topic.group.0.to_le_bytes());
    bytes[20..].copy_from_slice(&topic.generation.0.to_le_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use forebay_model::{Generation, GroupId};

    use super::*;

    fn owner(table: u32, processes: &[Uuid]) -> Uuid {
        let topic = Topic {
            group: GroupId(table),
            generation: Generation(0),
        };
        let owners: Vec<Uuid> = processes
            .iter()
            .filter(|me| {
                let others: Vec<Uuid> = processes.iter().filter(|other| other != me).copied().collect();
                belongs(topic, **me, &others)
            })
            .copied()
            .collect();
        assert_eq!(owners.len(), 1, "one process has the table");
        owners[0]
    }

    #[test]
    fn tables_are_shared_out_and_few_of_them_move() {
        let three: Vec<Uuid> = (1..4).map(Uuid::from_u128).collect();
        let mut counts = [0; 3];
        for table in 0..300 {
            let among_three = owner(table, &three);
            counts[three
                .iter()
                .position(|process| *process == among_three)
                .expect("one of them")] += 1;
            let among_two = owner(table, &three[..2]);
            assert!(
                among_two == among_three || among_three == three[2],
                "others keep theirs"
            );
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }
}
