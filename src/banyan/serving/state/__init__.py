"""What happened since a model was trained: a durable journal of events, what each user did last, and how a user is forgotten.

Knows no network and no HTTP.
"""

from banyan.serving.state.events import Asked, Event, Note
from banyan.serving.state.journal import Change, Gone, Journal, Pulse, Receipt, journal_at
from banyan.serving.state.users import Known, UserState, user_state_at

__all__ = ["Asked", "Change", "Event", "Gone", "Journal", "Known", "Note", "Pulse", "Receipt", "UserState", "journal_at", "user_state_at"]
