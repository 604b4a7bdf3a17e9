//! What followers are to be told.

use sqlx::FromRow;
use uuid::Uuid;

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::citizen::{CitizenMessage, MessageKind};
use crate::domain::ids::{CaseId, FollowerId, MessageId, Millis, WordId};

#[derive(FromRow)]
struct MessageRow {
    id: Uuid,
    follower_id: Uuid,
    kind: String,
    case_id: Option<Uuid>,
    word_id: Option<Uuid>,
    created_at: i64,
}

pub async fn add_messages(tx: &mut Tx, messages: &[CitizenMessage]) -> Result<(), StoreError> {
    let mut script = Script::new(tx.engine());
    let columns = ["id", "follower_id", "kind", "case_id", "word_id", "created_at"];
    let row = |message: &CitizenMessage| {
        cells![
            message.id.0,
            message.follower.0,
            message.kind.as_str(),
            message.case.map(|case| case.0),
            message.word.map(|word| word.0),
            message.created_at.0,
        ]
    };
    script.add(Sheet::new("citizen_messages", columns, messages.iter().map(row)));
    script.execute(tx).await.map(drop)
}

pub async fn find_message(tx: &mut Tx, id: MessageId) -> Result<Option<CitizenMessage>, StoreError> {
    let row: Option<MessageRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT id, follower_id, kind, case_id, word_id, created_at FROM citizen_messages WHERE id = $1",
        )
        .bind(id.0)
        .fetch_optional(&mut *c)
        .await?
    });
    row.map(|row| {
        let kind =
            row.kind.parse().map_err(|_| StoreError::inconsistent("citizen_messages", "kind", row.id))?;
        Ok(CitizenMessage {
            kind,
            id: MessageId(row.id),
            follower: FollowerId(row.follower_id),
            case: row.case_id.map(CaseId),
            word: row.word_id.map(WordId),
            created_at: Millis(row.created_at),
        })
    })
    .transpose()
}

/// Who was told this of a case since a moment.
pub async fn list_told(
    tx: &mut Tx,
    case: CaseId,
    kind: MessageKind,
    since: Millis,
) -> Result<Vec<FollowerId>, StoreError> {
    let ids: Vec<Uuid> = on_db!(tx, |c| {
        sqlx::query_scalar(
            "SELECT follower_id FROM citizen_messages WHERE case_id = $1 AND kind = $2 AND created_at >= $3",
        )
        .bind(case.0)
        .bind(kind.as_str())
        .bind(since.0)
        .fetch_all(&mut *c)
        .await?
    });
    Ok(ids.into_iter().map(FollowerId).collect())
}
