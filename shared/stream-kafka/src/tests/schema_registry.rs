//! The read side of a schema registry, as much of it as Confluent's serializers ask for: over one group's schema.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use forebay_model::GroupSchema;
use forebay_rows::avro::{avro_schema, schema_id};
use serde_json::{Value, json};

/// Serves until the process ends; tells its address.
pub(super) fn serve(schema: Arc<GroupSchema>, subject: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (schema, subject) = (schema.clone(), subject.clone());
            std::thread::spawn(move || answer_all(&connection, &schema, &subject));
        }
    });
    format!("http://{address}")
}

fn answer_all(connection: &TcpStream, schema: &GroupSchema, subject: &str) {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        while lines.next().is_some_and(|header| !header.is_empty()) {}
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match answer(path.split('?').next().unwrap_or_default(), schema, subject) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", json!({"error_code": 40401, "message": path})),
        };
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/vnd.schemaregistry.v1+json\r\n");
        let length = format!("content-length: {}\r\n\r\n", body.len());
        let mut connection = connection;
        if connection.write_all((head + &length + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(path: &str, schema: &GroupSchema, subject: &str) -> Option<Value> {
    let id = schema_id(schema.id, schema.layout)?;
    let text = avro_schema(schema, schema.layout)?.to_string();
    if path == format!("/schemas/ids/{id}") {
        return Some(json!({"schema": text}));
    }
    (path == format!("/subjects/{subject}/versions/latest"))
        .then(|| json!({"subject": subject, "id": id, "version": 1, "schema": text}))
}
