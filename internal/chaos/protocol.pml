/* The protocol of the committer, without anything else: replicas that each keep a view of the ledger, one head that a
   commit locks, requests that are tried again under their key on any replica, and crashes at every step.

   All requests are for one customer and one scope, by different partners: the first that is committed is protected, the
   others are not. A commit makes an entry the ledger's end in one step, or never. What the committer learns of that step
   is "done", "not done", or, when the connection dies under it, nothing.

   A replica that stands still while it holds the head loses the lock (the database ends its session) and goes on, later,
   as if it had it. With -DSNAPSHOT a copy of the view is kept where nobody vouches for it, as in Redis, and is forged.

   Build with -DNO_CATCH_UP and so on to seed a bug: model_test.go lists them. -DNO_LOCK alone is none: the primary key
   of the sequence is the second wall. */

#ifndef REPLICAS
#define REPLICAS 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#define REQUESTS 3
#define LENGTH   4           /* of the ledger; more than REQUESTS can only be reached by a bug */
#define NOBODY   7

/* The database. */
byte head = 0;
byte entryOf[LENGTH];        /* request of each entry */
bool protects[LENGTH];       /* whether it was protected */
byte holder = NOBODY;        /* who holds the lock of the head */
bool ended[REPLICAS];        /* the replica's transaction was ended by the database */

/* The clients: 0 was told nothing, 1 protected, 2 not. */
byte told[REQUESTS];
bool differs = false;        /* one was told both */
byte crashes = 0;

#ifdef SNAPSHOT
byte cacheAt = 0;            /* how far the copy goes */
byte cacheHeld = 0;          /* how many protected entries it says there are */
#endif

inline unlock() { if :: holder == me -> holder = NOBODY :: else fi }

inline answer() {
	if
	:: told[r] == 0 -> if :: grant -> told[r] = 1 :: else -> told[r] = 2 fi
	:: told[r] == 1 && !grant || told[r] == 2 && grant -> differs = true
	:: else
	fi
}

inline append() { entryOf[head] = r; protects[head] = grant; head++ }

/* drop forgets the view, and everything of the request under way. A new process starts from the snapshot, when the
   ledger itself leads to the same. */
inline drop() {
	at = 0; held = 0;
#ifdef SNAPSHOT
#ifdef TRUST_SNAPSHOT
	at = cacheAt; held = cacheHeld;
#else
	i = 0; h = 0;
	do
	:: i < cacheAt && i < head -> if :: protects[i] -> h++ :: else fi; i++
	:: else -> break
	od;
	if :: cacheAt <= head && h == cacheHeld -> at = cacheAt; held = cacheHeld :: else fi;
#endif
#endif
	unlock();
	ended[me] = false;
	r = 0; h = 0; i = 0; grant = false
}

#define mayCrash if :: d_step { crashes < CRASHES -> crashes++; drop() }; goto idle :: true fi

proctype replica(byte me) {
	byte at = 0;             /* how many entries the view has */
	byte held = 0;           /* how many protected ones it knows of */
	byte r, i, h;
	bool grant;
idle:
	if
	:: atomic { told[0] == 0 -> r = 0 }
	:: atomic { told[1] == 0 -> r = 1 }
	:: atomic { told[2] == 0 -> r = 2 }
	:: told[0] != 0 && told[1] != 0 && told[2] != 0 -> goto end
	fi;
#ifdef NO_LOCK
	h = head;
#else
	atomic { holder == NOBODY -> holder = me; h = head };
#endif
	mayCrash;                                                      /* the head is locked */
	atomic {
#ifndef NO_CATCH_UP
		do
		:: at < h -> if :: protects[at] -> held++ :: else fi; at++
		:: else -> break
		od;
#endif
		/* A key that has its answer gets it again. */
		i = 0;
#ifndef NO_KEY
		do
		:: i < h && entryOf[i] != r -> i++
		:: else -> break
		od;
		if
		:: i < h -> grant = protects[i]; answer(); unlock(); r = 0; h = 0; i = 0; grant = false; goto idle
		:: else -> i = 0
		fi;
#endif
		grant = (held == 0)
	};
#ifdef ANSWER_EARLY
	d_step { answer() };
#endif
	mayCrash;                                                      /* decided, not committed */
	if                                                             /* or it stands still, and the database gives the head away */
	:: d_step { crashes < CRASHES -> crashes++; unlock(); ended[me] = true }
	:: true
	fi;
	/* COMMIT. A transaction that was ended cannot; a sequence that is taken is refused by the primary key. */
	if
#ifdef NO_PRIMARY_KEY
	:: d_step { !ended[me] && head < LENGTH -> append(); unlock() }
	:: d_step { ended[me] || head == LENGTH -> drop() }; goto idle
#else
	:: d_step { !ended[me] && head == h && head < LENGTH -> append(); unlock() }
	:: d_step { ended[me] || head != h || head == LENGTH -> drop() }; goto idle
#endif
	:: atomic {                                                    /* the connection dies under it: it may have happened */
		crashes < CRASHES -> crashes++;
		if
		:: !ended[me] && head == h && head < LENGTH -> append()
		:: true
		fi;
#ifdef UNKNOWN_IS_YES
		answer();
#endif
#ifdef KEEP_VIEW
		if :: grant -> held++ :: else fi; at = h + 1;          /* the view has what was perhaps never written */
		unlock(); ended[me] = false; r = 0; h = 0; grant = false;
#else
		drop();                                                /* unknown is not no, and not yes */
#endif
		goto idle }
	fi;
	d_step { at = h + 1; if :: grant -> held++ :: else fi };
	mayCrash;                                                      /* committed, not answered */
	d_step {
		answer();
#ifdef SNAPSHOT
		if :: at > cacheAt -> cacheAt = at; cacheHeld = held :: else fi;
#endif
		r = 0; h = 0; grant = false
	};
	goto idle;
end:
	skip
}

#ifdef SNAPSHOT
/* Somebody overwrites the snapshot: it says that nobody holds anything. */
active proctype forger() { end_forging: d_step { cacheHeld > 0 -> cacheHeld = 0 } }
#endif

#define granted  (protects[0] + protects[1] + protects[2] + protects[3])
#define winners  ((told[0] == 1) + (told[1] == 1) + (told[2] == 1))
#define kept(q)  (told[q] == 0 || head > 0 && entryOf[0] == q || head > 1 && entryOf[1] == q || head > 2 && entryOf[2] == q || head > 3 && entryOf[3] == q)
#define as_told(n) (head <= n || told[entryOf[n]] == 0 || (told[entryOf[n]] == 1) == protects[n])

/* What must hold in every state: one holder; nobody was told two things; what was told is in the ledger, as it was told;
   no request is there twice; and the first is protected. */
#define sound (granted <= 1 && winners <= 1 && !differs && head <= REQUESTS && (head == 0 || protects[0]) && \
	kept(0) && kept(1) && kept(2) && as_told(0) && as_told(1) && as_told(2) && as_told(3))

active proctype monitor() { end_watching: atomic { !sound -> assert(false) } }

init {
	atomic {
		byte n = 0;
		do :: n < REPLICAS -> run replica(n); n++ :: else -> break od
	}
}
