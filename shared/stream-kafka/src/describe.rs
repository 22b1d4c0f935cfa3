//! What rdkafka does not hand out, asked of librdkafka directly: Kafka's own identity of a topic, and what an admin client has to say on its own.

#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString},
    ptr::NonNull,
    time::Duration,
};

use rdkafka::{
    bindings as ffi,
    client::{Client, ClientContext},
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use uuid::Uuid;

/// Log levels up to this one (syslog's `error`) are complaints, and so is that a broker has hung up.
const COMPLAINT: i32 = 3;
const HUNG_UP: &str = "isconnected";

/// A topic as the brokers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// Another one when the topic was deleted and made again.
    pub(crate) id: Uuid,
    /// 0 while the brokers do not know all of it yet.
    pub(crate) partitions: u32,
}

/// Asks the brokers for topics, in the order of the names; `None` for one that does not exist. Blocks up to `timeout`.
pub(crate) fn describe<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<Vec<Option<Described>>, KafkaError> {
    let names = topics
        .iter()
        .map(|topic| CString::new(*topic))
        .collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives through the call, and with it all that is made of it here. Each handle is destroyed once, by its owner; the names are copied
    // by librdkafka. The queue is served here alone, until the one event that the call leads to has come or the time is over; an event that comes later goes
    // with the queue.
    unsafe {
        let queue = Owned::new(
            ffi::rd_kafka_queue_new(client.native_ptr()),
            ffi::rd_kafka_queue_destroy,
        )?;
        let options = Owned::new(
            ffi::rd_kafka_AdminOptions_new(
                client.native_ptr(),
                ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            ),
            ffi::rd_kafka_AdminOptions_destroy,
        )?;
        let mut message = [0; 256];
        let set = ffi::rd_kafka_AdminOptions_set_request_timeout(
            options.pointer(),
            millis.max(1),
            message.as_mut_ptr(),
            message.len(),
        );
        check(set)?;
        let collection = Owned::new(
            ffi::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            ffi::rd_kafka_TopicCollection_destroy,
        )?;
        ffi::rd_kafka_DescribeTopics(
            client.native_ptr(),
            collection.pointer(),
            options.pointer(),
            queue.pointer(),
        );
        // The request has its own end at `millis`; this one only guards against none.
        let event = ffi::rd_kafka_queue_poll(queue.pointer(), millis.saturating_add(1_000));
        let event = Owned::new(event, ffi::rd_kafka_event_destroy)
            .map_err(|_| KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?;
        check(ffi::rd_kafka_event_error(event.pointer()))?;
        let result = ffi::rd_kafka_event_DescribeTopics_result(event.pointer());
        if result.is_null() {
            return Err(KafkaError::AdminOp(RDKafkaErrorCode::BadMessage));
        }
        let mut count = 0;
        let descriptions = ffi::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        (0..count).map(|index| described(*descriptions.add(index))).collect()
    }
}

/// What the client has to say on its own, which nobody else listens to: passed to the log. Tells the complaints, such as why brokers cannot be reached.
pub(crate) fn listen_to<C: ClientContext>(client: &Client<C>) -> Vec<String> {
    let mut complaints = Vec::new();
    // SAFETY: the client lives through the call, and with it its queue, the reference to which is given back. Texts belong to their event, and are copied
    // before it is destroyed.
    unsafe {
        let Ok(queue) = Owned::new(
            ffi::rd_kafka_queue_get_main(client.native_ptr()),
            ffi::rd_kafka_queue_destroy,
        ) else {
            return complaints;
        };
        while let Ok(event) = Owned::new(
            ffi::rd_kafka_queue_poll(queue.pointer(), 0),
            ffi::rd_kafka_event_destroy,
        ) {
            if ffi::rd_kafka_event_type(event.pointer()) != ffi::RD_KAFKA_EVENT_LOG {
                continue;
            }
            let (mut facility, mut text, mut level) = (std::ptr::null(), std::ptr::null(), 0);
            let read = ffi::rd_kafka_event_log(event.pointer(), &raw mut facility, &raw mut text, &raw mut level);
            if read == 0 && !text.is_null() {
                let text = CStr::from_ptr(text).to_string_lossy().trim().to_owned();
                tracing::debug!(level, "{text}");
                // That all brokers are down follows from what was said of each before.
                let complains = level <= COMPLAINT || text.contains(HUNG_UP);
                if complains && !text.ends_with("brokers are down") {
                    complaints.push(text);
                }
            }
        }
    }
    complaints
}

/// # Safety
/// The description is of a result that still lives.
unsafe fn described(topic: *const ffi::rd_kafka_TopicDescription_t) -> Result<Option<Described>, KafkaError> {
    // SAFETY: as the caller promises; what is read belongs to the description.
    unsafe {
        let error = ffi::rd_kafka_TopicDescription_error(topic);
        let code = ffi::rd_kafka_error_code(error);
        match RDKafkaErrorCode::from(code) {
            RDKafkaErrorCode::NoError => {}
            code if crate::client::is_unknown_topic(code) => return Ok(None),
            code => return Err(KafkaError::AdminOp(code)),
        }
        let id = ffi::rd_kafka_TopicDescription_topic_id(topic);
        let mut partitions = 0;
        ffi::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        Ok(Some(Described {
            id: Uuid::from_u64_pair(
                ffi::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned(),
                ffi::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned(),
            ),
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
        }))
    }
}

fn check(error: RDKafkaRespErr) -> Result<(), KafkaError> {
    match RDKafkaErrorCode::from(error) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(KafkaError::AdminOp(code)),
    }
}

/// A handle of librdkafka that is destroyed with this.
struct Owned<T> {
    pointer: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self, KafkaError> {
        let pointer = NonNull::new(pointer).ok_or(KafkaError::AdminOp(RDKafkaErrorCode::Fail))?;
        Ok(Self { pointer, destroy })
    }

    fn pointer(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` took the handle over, and nobody else destroys it.
        unsafe { (self.destroy)(self.pointer.as_ptr()) }
    }
}
