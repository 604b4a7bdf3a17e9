//! Holds recorded answers to `openapi.yaml`: the path, the method, the status and the content type
//! must be documented, and a JSON body must fit its schema.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// An answer as it came over the wire.
#[derive(Debug, Clone)]
pub struct Recorded<'a> {
    pub method: &'a str,
    /// Path and query as asked for.
    pub path: &'a str,
    pub status: u16,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// The contract, read once.
pub struct Contract {
    document: Value,
    /// Its components as JSON Schema draft 4.
    components: Value,
    /// What was asked for before, by the place of the schema in the document, for sparse answers and whole ones.
    validators: Mutex<HashMap<(usize, bool), Arc<Validator>>>,
}

/// The contract of this checkout.
pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let text =
            std::fs::read_to_string(super::checkout().join("openapi.yaml")).expect("openapi.yaml is there");
        Contract::read(&text)
    })
}

impl Contract {
    pub fn read(yaml: &str) -> Self {
        let document: Value = serde_yaml_ng::from_str(yaml).expect("the contract is YAML");
        let components = document.get("components").map_or(json!({}), without_nullable);
        Self { document, components, validators: Mutex::default() }
    }

    /// Every documented operation as (METHOD, path template), in the order of the document.
    pub fn operations(&self) -> Vec<(String, String)> {
        const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];
        let paths = self.document["paths"].as_object().expect("a contract has paths");
        paths
            .iter()
            .flat_map(|(path, item)| {
                let item = item.as_object().expect("a path item is an object");
                item.keys()
                    .filter(|key| METHODS.contains(&key.as_str()))
                    .map(move |method| (method.to_uppercase(), path.clone()))
            })
            .collect()
    }

    /// The operation object of one (METHOD, path template).
    pub fn operation(&self, method: &str, template: &str) -> Option<&Value> {
        self.document["paths"].get(template)?.get(method.to_lowercase())
    }

    /// Refuses an answer that the contract does not document; the text says what is wrong.
    pub fn check(&self, answer: &Recorded) -> Result<(), String> {
        let path = answer.path.split(['?', '#']).next().unwrap_or_default();
        let story = format!("{} {} → {}", answer.method, answer.path, answer.status);
        let (template, item) =
            self.template_of(path).ok_or_else(|| format!("{story}: no path of the contract fits"))?;
        let method = answer.method.to_lowercase();
        let method = if method == "head" && item.get("head").is_none() { "get" } else { method.as_str() };
        let Some(operation) = item.get(method) else {
            // A method that is not there is answered with 405 on every path.
            return if answer.status == 405 {
                Ok(())
            } else {
                Err(format!("{story}: {template} has no {method}"))
            };
        };
        let responses = &operation["responses"];
        let status = answer.status.to_string();
        let class = format!("{}XX", &status[..1]);
        let response = responses
            .get(&status)
            .or_else(|| responses.get(&class))
            .or_else(|| responses.get("default"))
            .ok_or_else(|| format!("{story}: {template} does not document this status"))?;
        let response = self.resolve(response);
        let Some(content) = response.get("content").and_then(Value::as_object) else {
            return if answer.body.is_empty() {
                Ok(())
            } else {
                Err(format!("{story}: {template} documents no body for it"))
            };
        };
        if answer.method == "HEAD" {
            return Ok(());
        }
        let given = answer.content_type.unwrap_or_default();
        let given = given.split(';').next().unwrap_or_default().trim().to_lowercase();
        let media = content.get(&given).ok_or_else(|| {
            let fits: Vec<&str> = content.keys().map(String::as_str).collect();
            format!("{story}: {template} documents {fits:?}, the answer is {given:?}")
        })?;
        if !(given == "application/json" || given.ends_with("+json")) {
            return Ok(());
        }
        let Some(schema) = media.get("schema") else { return Ok(()) };
        let body: Value =
            serde_json::from_slice(answer.body).map_err(|error| format!("{story}: not JSON: {error}"))?;
        // Only who asks for some fields gets some fields.
        let is_sparse = answer.path.contains("fields=") || template.ends_with("/covers/read");
        let validator = self
            .validator(schema, is_sparse)
            .map_err(|error| format!("{story}: the contract's schema is broken: {error}"))?;
        let errors: Vec<String> = validator
            .iter_errors(&body)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(format!("{story}: {} in {body}", errors.join("; "))) }
    }

    /// The path template that fits a path and query.
    pub fn template(&self, path: &str) -> Option<&str> {
        self.template_of(path.split(['?', '#']).next().unwrap_or_default()).map(|(template, _)| template)
    }

    /// The template that fits a path; literal segments win over parameters, as in the router.
    fn template_of(&self, path: &str) -> Option<(&str, &Value)> {
        let asked: Vec<&str> = path.split('/').collect();
        let paths = self.document["paths"].as_object()?;
        paths
            .iter()
            .filter(|(template, _)| {
                let parts: Vec<&str> = template.split('/').collect();
                parts.len() == asked.len()
                    && parts.iter().zip(&asked).all(|(part, given)| {
                        part == given || (part.starts_with('{') && part.ends_with('}') && !given.is_empty())
                    })
            })
            .min_by_key(|(template, _)| template.matches('{').count())
            .map(|(template, item)| (template.as_str(), item))
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            None => value,
            Some(reference) => {
                let pointer = reference.strip_prefix('#').expect("the contract is self-contained");
                let target = self.document.pointer(pointer);
                self.resolve(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
            }
        }
    }

    /// Made once for each schema of the document.
    fn validator(&self, schema: &Value, is_sparse: bool) -> Result<Arc<Validator>, String> {
        let key = (std::ptr::from_ref(schema).addr(), is_sparse);
        if let Some(known) = self.validators.lock().expect("nobody panics with it").get(&key) {
            return Ok(known.clone());
        }
        let made = jsonschema::draft4::new(&self.as_draft4(schema, is_sparse));
        let made = Arc::new(made.map_err(|error| error.to_string())?);
        self.validators.lock().expect("nobody panics with it").insert(key, made.clone());
        Ok(made)
    }

    /// A schema of OpenAPI 3.0 as JSON Schema draft 4, which it extends: `nullable` becomes a type,
    /// and the components come along so that `$ref` finds them.
    fn as_draft4(&self, schema: &Value, is_sparse: bool) -> Value {
        let mut schema = without_nullable(schema);
        if !is_sparse {
            forbid_sparse(&mut schema);
        }
        json!({"allOf": [schema], "components": self.components})
    }

    /// The names of the members of a component.
    pub fn members(&self, component: &str) -> std::collections::BTreeSet<String> {
        let members = self.document["components"]["schemas"][component]["properties"].as_object();
        members.unwrap_or_else(|| panic!("no component {component}")).keys().cloned().collect()
    }
}

/// Leaves of `anyOf` the whole answer alone.
fn forbid_sparse(schema: &mut Value) {
    match schema {
        Value::Array(items) => {
            items.retain(|item| item["$ref"] != "#/components/schemas/Sparse");
            items.iter_mut().for_each(forbid_sparse);
        }
        Value::Object(fields) => fields.values_mut().for_each(forbid_sparse),
        _ => {}
    }
}

fn without_nullable(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(without_nullable).collect()),
        Value::Object(fields) => {
            let mut out: Map<String, Value> = fields
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "nullable" | "example" | "discriminator"))
                .map(|(name, value)| (name.clone(), without_nullable(value)))
                .collect();
            if fields.get("nullable") != Some(&Value::Bool(true)) {
                return Value::Object(out);
            }
            match (out.get("type").cloned(), out.get_mut("enum")) {
                (Some(kind @ Value::String(_)), values) => {
                    if let Some(Value::Array(values)) = values
                        && !values.contains(&Value::Null)
                    {
                        values.push(Value::Null);
                    }
                    out.insert("type".into(), json!([kind, "null"]));
                    Value::Object(out)
                }
                _ => json!({"anyOf": [out, {"type": "null"}]}),
            }
        }
        other => other.clone(),
    }
}
