use super::*;

fn answered(method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
    let body = body.to_string();
    compare(Answer { method, path, status, is_json: true, body: body.as_bytes() })
}

#[test]
fn an_answer_that_the_schema_forbids_is_told_with_its_place() {
    if specification().is_none() {
        return;
    }
    let path = "/_matrix/client/v3/account/whoami?x=y";
    assert_eq!(answered("GET", path, 200, &json!({ "user_id": "@a:b" })), Ok(()));
    let wrong = answered("GET", path, 200, &json!({ "user_id": 7 })).unwrap_err();
    assert!(wrong.contains("getTokenOwner") && wrong.contains("`/user_id`"), "{wrong}");
    let unknown = answered("GET", path, 201, &json!({ "user_id": "@a:b" })).unwrap_err();
    assert!(unknown.contains("does not know"), "{unknown}");
}

#[test]
fn errors_have_a_code_and_a_text_and_what_their_code_requires() {
    if specification().is_none() {
        return;
    }
    let path = "/_matrix/client/v3/nothing/of/that/kind";
    let error = json!({ "errcode": "M_UNRECOGNIZED", "error": "No." });
    assert_eq!(answered("GET", path, 404, &error), Ok(()));
    assert!(answered("GET", path, 404, &json!({ "errcode": "M_UNRECOGNIZED" })).is_err());
    assert!(answered("GET", path, 404, &json!({ "error": "No." })).is_err());
    let limited = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "No.", "retry_after_ms": 1.5 });
    assert!(answered("POST", "/_matrix/client/v3/login", 429, &limited).is_err());
    let flows = json!({ "flows": [{ "stages": ["m.login.dummy"] }], "session": "x" });
    assert_eq!(answered("POST", "/_matrix/client/v3/register", 401, &flows), Ok(()));
    assert!(answered("POST", "/_matrix/client/v3/join/x", 401, &flows).is_err());
}

#[test]
fn every_schema_of_the_specification_compiles() {
    let Some(specification) = specification() else { return };
    for operation in specification.catalogue.all() {
        for status in [200, 400, 401, 403, 404, 429] {
            match specification.schema(operation, status) {
                Ok(_) => {}
                Err(what) => assert!(what.contains("does not know"), "{}: {what}", operation.id),
            }
        }
    }
}
