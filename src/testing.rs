//! What the tests and benches of this repository reach besides the program itself. Not for others: it changes with the code.
#![allow(missing_docs)]

pub mod client {
    pub use crate::client::{
        Account, BindError, BindMode, Bound, ReceiptReading, Secret, TakesTlvs, Timers, Version, bind,
    };
    pub mod link {
        pub use crate::client::link::{Dial, LocalAddresses, Target, Tls, TlsOptions};
        pub mod tls_proxy {
            pub use crate::client::link::tls_proxy::{Door, Identity};
        }
    }
}
pub mod import {
    pub use crate::import::{Event, FileEncoding, ImportError, RowReader, Settings, Tally, TextSource, digest_of};
    pub mod campaign {
        pub use crate::import::campaign::{CampaignFile, Reading, Willing, import};
    }
}
pub mod journal {
    pub use crate::journal::{now_ms, open_existing, open_or_create, open_read_only};
    pub mod files {
        pub mod lock {
            pub use crate::journal::files::lock::SenderLock;
        }
    }
    pub mod model {
        pub mod campaign {
            pub use crate::journal::model::campaign::CampaignOptions;
        }
        pub mod events {
            pub use crate::journal::model::events::{
                Answer, Batch, ReceiptEvent, Sent, SessionFacts, ToJournal, ToSession,
            };
        }
        pub mod key {
            pub use crate::journal::model::key::State;
        }
        pub mod retry_rules {
            pub use crate::journal::model::retry_rules::RetryRules;
        }
        pub mod state {
            pub use crate::journal::model::state::ReceiptsFor;
        }
    }
    pub mod store {
        pub mod account {
            pub use crate::journal::store::account::Identity;
        }
        pub mod decisions {
            pub use crate::journal::store::decisions::{Decision, request};
        }
        pub mod intake {
            pub use crate::journal::store::intake::{Intake, Kept, NewMessage};
        }
        pub mod lately {
            pub use crate::journal::store::lately::Lately;
        }
        pub mod number_index {
            pub use crate::journal::store::number_index::Numbers;
            pub mod upkeep {
                pub use crate::journal::store::number_index::upkeep::{catch_up, forget};
            }
        }
    }
    pub mod writer {
        pub use crate::journal::writer::{
            Board, Campaigns, JournalThread, RECEIPT_HORIZON, Takeover, WriterSettings, start,
        };
    }
}
pub mod message {
    pub mod address {
        pub mod dialled {
            pub use crate::message::address::dialled::read;
        }
    }
    pub mod template {
        pub use crate::message::template::Template;
    }
    pub mod text {
        pub use crate::message::text::{
            Choice, DefaultAlphabet, ESM_CLASS_UDHI, Encoder, Encoding, Language, Policy, Reference, Shift, TextError,
            concatenation, decode, encode_part, segment, split_udh,
        };
    }
}
pub mod platform {
    pub mod failpoint {
        pub use crate::platform::failpoint::{POINTS, RECOVERY_POINT, SERVICE_POINTS, UPGRADE_POINTS, WATCH_POINTS};
    }
}
pub mod policy {
    pub mod bucket {
        pub use crate::policy::bucket::Bucket;
    }
    pub mod pacer {
        pub use crate::policy::pacer::Rate;
    }
}
pub mod record {
    pub use crate::record::{Options, Recorder};
}
pub mod run {
    pub mod pipeline {
        pub use crate::run::pipeline::{Ended, Listen, NeverBound, Outcome, SendSettings, send};
    }
}
pub mod words {
    pub mod escape {
        pub use crate::words::escape::escape_terminal;
    }
}
