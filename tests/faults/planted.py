# ruff: noqa: E501  # lines of the product, each with a mark before it
"""Defects planted by hand: each a mistake that somebody could make in one place, and the test that must notice it.

They are planted in memory (`tests/faults/planting.py`) and never in the working tree. A defect belongs here if a person
would be harmed by it; what merely looks wrong is for mutation testing (docs/mutants.md).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PLANTED", "Defect"]


@dataclass(frozen=True)
class Defect:
    """One mistake."""

    name: str
    file: str  # from the root
    patch: str  # whole lines: those that go (-), those that come (+), those that say where ( ); @@ between two places
    harm: str  # what it would do to somebody
    caught_by: str  # the test that must fail, by its id; one with parameters if any of them fails


_SENDING = (
    Defect(
        "the sender goes on holding what was received",
        "node/answers.py",
        """
-            records.hand_over(tx, case_id, transfer=present.id, now=now)
+            records.holder_of(tx, case_id)
""",
        "Two associations each believe that the child is theirs to protect, and each waits for the other.",
        "tests/journeys/test_whole_nodes.py::test_a_case_with_files_arrives_and_is_held_once",
    ),
    Defect(
        "an act for one transfer serves two",
        "node/answers.py",
        """
-        if parse_act(terms.act).single_use and terms.kind != "update":
+        if parse_act(terms.act).single_use and terms.kind == "update":
""",
        "What a minor allowed once is passed on a second time.",
        "tests/journeys/test_outcomes.py::test_an_act_for_one_transfer_serves_one",
    ),
    Defect(
        "all that was offered is shipped though less was taken",
        "node/answers.py",
        """
-            sealed_terms=narrowed.sealed(data_key, present.id),
+            sealed_terms=terms.sealed(data_key, present.id),
""",
        "The recipient gets sections that it said it does not need.",
        "tests/journeys/test_outcomes.py::test_a_recipient_takes_fewer_sections_and_gets_no_more",
    ),
    Defect(
        "a fresh signature is sent before it is kept",
        "node/outbox.py",
        """
             return True

+        await self._client.submit(fresh)
""",
        "After a crash the node signs once more, and the broker refuses the second for ever: the case hangs between two.",
        "tests/journeys/test_every_step.py::test_what_leaves_was_kept_before",
    ),
    Defect(
        "a refused step is forgotten before the broker was asked",
        "node/outbox.py",
        """
         \"\"\"Nothing is forgotten before the broker has said how the transfer stands. False where it cannot say now.\"\"\"
+        await self._house.db.write(
+            lambda tx: transfer_store.forget_waiting(tx, waiting.transfer, [waiting.kind])
+        )
""",
        "The broker took the offer after all: it goes on without its sender, who may offer the case again.",
        "tests/journeys/test_outcomes.py::test_a_refused_step_is_not_forgotten_before_the_directory_has_said_how_it_stands",
    ),
    Defect(
        "it is shipped to a member that was suspended since it accepted",
        "node/shipping.py",
        """
-        self._house.roster.require_fresh(self._house.clock.now()).active(job.peer)
+        self._house.roster.require_fresh(self._house.clock.now())
""",
        "A case is uploaded for an association that lost the network's trust an hour ago.",
        "tests/journeys/test_outcomes.py::test_a_suspended_members_transfer_stands_still_and_goes_on_afterwards",
    ),
    Defect(
        "an offer is made though the list of members is old",
        "node/sending.py",
        """
-        roster = house.roster.require_fresh(now)
+        roster = house.roster.roster
""",
        "A node that is kept in the past sends cases to whom the others have suspended.",
        "tests/attacks/test_malicious_directory.py::test_a_frozen_directory_is_refused_once_its_checkpoint_is_stale",
    ),
    Defect(
        "withdrawing an act leaves the transfers that rest on it",
        "node/sending.py",
        """
-            for each in asked_for:
-                write_withdrawal(house, tx, each, actor=handler.account_id, now=now)
""",
        "A minor takes the agreement back, and the case leaves all the same.",
        "tests/journeys/test_outcomes.py::test_withdrawing_an_act_withdraws_all_that_rests_on_it",
    ),
    Defect(
        "the decision is shown and not asked",
        "node/sending.py",
        """
-        decision.require()
""",
        "A case leaves for an association that the minor never agreed to.",
        "tests/node/rpc/test_transfers_and_members.py::test_another_recipient_than_the_act_names_is_not_covered",
    ),
    Defect(
        "a case of a team is everybody's",
        "node/case_access.py",
        """
-        return access.team is None or access.team in teams
+        return True
""",
        "A colleague reads about a child whose parent they know.",
        "tests/node/rpc/test_teams.py::test_a_case_of_a_team_is_in_nobody_elses_list",
    ),
    Defect(
        "the keys stay when a transfer is over",
        "node/transfer_store.py",
        """
-        "sealed_content_key": None,
-        "sealed_one_time_seed": None,
""",
        "Whoever takes the machine a year later can read what the mailbox once held.",
        "tests/journeys/test_whole_nodes.py::test_a_case_with_files_arrives_and_is_held_once",
    ),
)

_RECEIVING = (
    Defect(
        "the case is stored before its receipt",
        "node/fetching.py",
        """
         case_id = parcel.case.case_id
+        receipts: list[Signed] = []
@@
-            transfer_store.add_statement(tx, job.id, Kind.RECEIPT_TAKEN, signed, ours=True, now=now)
+            receipts.append(signed)
@@
             surplus = await house.db.write(step)
+            for each in receipts:
+                await house.db.write(
+                    lambda tx, each=each: transfer_store.add_statement(
+                        tx, job.id, Kind.RECEIPT_TAKEN, each, ours=True, now=house.clock.now()
+                    )
+                )
""",
        "A power cut between the two: they have the case, the sender believes they do not, and two hold it for ever.",
        "tests/journeys/test_every_step.py::test_after_each_step_of_a_transfer_all_that_belongs_together_is_there",
    ),
    Defect(
        "the one-time key is erased after the import",
        "node/fetching.py",
        """
-            transfer_store.end(tx, job.id, State.RECEIVED, now=now, case_id=case_id, act_id=arrival.act.act_id)
+            seed = transfer_store.read_transfer(tx, job.id).sealed_one_time_seed
+            transfer_store.end(
+                tx,
+                job.id,
+                State.RECEIVED,
+                now=now,
+                case_id=case_id,
+                act_id=arrival.act.act_id,
+                sealed_one_time_seed=seed,
+            )
@@
             raise
+        await house.db.write(
+            lambda tx: transfer_store.set_fields(
+                tx, job.id, now=house.clock.now(), sealed_one_time_seed=None
+            )
+        )
""",
        "After a crash the key stays: whoever kept the ciphertext and takes the machine later reads the case.",
        "tests/journeys/test_every_step.py::test_after_each_step_of_a_transfer_all_that_belongs_together_is_there",
    ),
    Defect(
        "the journal is written after the import",
        "node/fetching.py",
        """
             transfer_store.end(tx, job.id, State.RECEIVED, now=now, case_id=case_id, act_id=arrival.act.act_id)
-            journal.append(
+            (lambda *_, **__: None)(
""",
        "A case came and the journal does not say from whom.",
        "tests/journeys/test_every_step.py::test_after_each_step_of_a_transfer_all_that_belongs_together_is_there",
    ),
    Defect(
        "what was withdrawn while it was opened is imported",
        "node/fetching.py",
        """
-            if present.state is not State.SHIPPED or present.job != "fetch":
-                return None  # withdrawn or expired while it was being opened
""",
        "The sender was told that nothing had been received, and it was.",
        "tests/journeys/test_every_step.py::test_what_is_withdrawn_while_it_is_opened_is_not_imported",
    ),
    Defect(
        "the scope is not checked",
        "node/fetching.py",
        """
-        check_scope(
+        (lambda *_, **__: None)(
""",
        "A sender that cheats, or a mistake there, puts a child's medical file where nobody may have it.",
        "tests/attacks/test_scope.py::test_what_a_cheating_sender_ships_is_refused_whole",
    ),
    Defect(
        "the manifest need not be the one announced",
        "node/fetching.py",
        """
-        if held.digest != shipment.manifest_digest:
-            raise ContentDamaged(problem=N_("the manifest is not the one announced"))
""",
        "The receipt says one thing and the case is another: neither side can prove what went over.",
        "tests/journeys/test_every_step.py::test_what_is_not_the_manifest_that_was_announced_is_refused",
    ),
    Defect(
        "what our own tombstones say is not asked",
        "node/fetching.py",
        """
-        if house.tombstones.contains(TRANSFER, job.id.hex()):
-            raise TransferOver(state=State.WITHDRAWN)
""",
        "A backup that is put back fetches a case that was erased because the minor asked for it.",
        "tests/journeys/test_every_step.py::test_what_has_a_tombstone_is_not_fetched_again",
    ),
    Defect(
        "a one-time key is used twice",
        "node/receiving.py",
        """
-        key = SealingKey.generate(house.random)
+        key = self.__dict__.setdefault('key', SealingKey.generate(house.random))
""",
        "Whoever gets the key of one transfer reads all the others.",
        "tests/journeys/test_every_step.py::test_each_acceptance_has_a_key_of_its_own",
    ),
    Defect(
        "an offer is accepted after its time",
        "node/receiving.py",
        """
-        if present.expires_at <= now:
-            raise TransferOver(state=State.EXPIRED)
""",
        "Somebody plans a night for a child who will not come: the broker never takes the answer.",
        "tests/journeys/test_every_step.py::test_an_offer_is_not_answered_here_once_its_time_is_over",
    ),
    Defect(
        "what is erased on request keeps its key",
        "node/records.py",
        """
-    tx.execute(delete(_KEY).where(_KEY.c.case_id == case_id))
""",
        "Every backup can still be read, although the minor was told that it is gone.",
        "tests/node/test_records.py::test_once_its_key_is_destroyed_nothing_of_a_case_can_be_read",
    ),
    Defect(
        "a transfer's case is imported twice",
        "node/records.py",
        """
-    except IntegrityError as imported:
-        raise AlreadyImported(transfer=transfer.short) from imported
+    except IntegrityError:
+        pass
""",
        "An erased case stands there again.",
        "tests/node/test_records.py::test_an_erased_case_may_come_again_but_not_by_the_same_transfer",
    ),
    Defect(
        "a case can be handed over to a second association",
        "node/records.py",
        """
-        if row.handed_to == bytes(transfer):
-            return
-        raise RecordClosed()
+        return
""",
        "Each of two associations believes that it alone has the case.",
        "tests/node/test_records.py::test_a_case_is_handed_over_once_and_is_then_read_only",
    ),
)

_LEGS = (
    Defect(
        "events are acknowledged before they are kept",
        "node/arrivals.py",
        """
             journal.append(tx, now=now, actor="node", action="transfer.shipment_came", subject=transfer.hex())

+        await house.db.write(lambda tx: transfer_store.keep_cursor(tx, sequence))
""",
        "A crash in between: the shipment is never heard of again, and the case waits until it runs out.",
        "tests/journeys/test_every_step.py::test_after_each_step_of_a_transfer_all_that_belongs_together_is_there",
    ),
    Defect(
        "the last checkpoint is noted after it was signed",
        "directory/roster_store.py",
        """
-        await asyncio.to_thread(partial(self._last_signed.advance, self._tree, time=time))
""",
        "Restored from a backup, the directory signs a second history: a suspension can be made to vanish.",
        "tests/directory/test_restored.py::test_nothing_is_signed_or_served_below_what_was_signed",
    ),
    Defect(
        "the record of what was signed is not asked",
        "directory/lastsigned.py",
        """
-        if tree.size < self._head.size or tree.root(self._head.size) != self._head.root:
+        if tree.size < self._head.size:
""",
        "Another log of the same size is signed: two members see two networks.",
        "tests/directory/test_lifecycle.py::test_another_log_of_the_same_size_is_not_signed",
    ),
    Defect(
        "a repeated submission is taken as another",
        "directory/transfers.py",
        """
-    again = state_of_taken(tx, statement.digest)
-    if again is not None:
-        return again
""",
        "A node whose line broke is told that its own statement is another's, and gives it up.",
        "tests/directory/test_broker.py::test_one_statement_submitted_many_times_at_once_is_taken_once",
    ),
    Defect(
        "a second answer is taken",
        "cordee/transfer.py",
        """
-    if any(step_of(kind) == step_of(before) for before in taken):
+    if any(kind == before for before in taken):
""",
        "Sender and recipient remember different answers.",
        "tests/cordee/test_transfer.py::test_another_answer_after_an_answer_is_called_so",
    ),
    Defect(
        "a token serves two transfers",
        "directory/transfers.py",
        """
-    if tx.execute(_OF_TOKEN, {"token": offer.token.id}).first() is not None:
+    if False:
""",
        "An agreement to one transfer is used for a second.",
        "tests/directory/test_broker.py::test_a_token_is_for_one_transfer",
    ),
    Defect(
        "the quota counts the newest transfer only",
        "directory/transfers.py",
        """
-    select(func.coalesce(func.sum(_TRANSFER.c.counted), 0)).where(
+    select(func.coalesce(func.max(_TRANSFER.c.counted), 0)).where(
""",
        "One member fills the directory's disk, and nobody's case goes anywhere.",
        "tests/directory/test_broker.py::test_the_quota_counts_what_was_announced_and_comes_back_when_a_transfer_ends",
    ),
    Defect(
        "time ends nothing at the broker but by the sweep",
        "directory/broker.py",
        """
-        if transfer is not None and self._is_over(transfer, now):
-            raise _Due
""",
        "A late answer finds an open door.",
        "tests/directory/test_broker.py::test_a_step_after_its_time_finds_the_transfer_expired_even_before_anybody_swept",
    ),
    Defect(
        "a shipment is taken although not all of it waits",
        "directory/broker.py",
        """
-        if isinstance(statement, Shipment):
-            await self._require_waiting(statement, taken)
""",
        "The sender erases its key, and what waits is half a case that nobody can ever open.",
        "tests/directory/test_broker.py::test_a_shipment_names_exactly_what_waits",
    ),
    Defect(
        "a suspended member's statements are taken while they wait to be written",
        "directory/broker.py",
        """
-            _require_standing(self._rosters.roster, seen)  # the roster may have grown since the statement was read
""",
        "In the second of its suspension a member still accepts a case.",
        "tests/directory/test_suspending.py::test_a_step_that_was_read_before_a_suspension_is_not_written_after_it",
    ),
    Defect(
        "a suspended member is served on the connection it has",
        "directory/cards.py",
        """
-        self._rosters.roster.active(member)
""",
        "Suspended a minute ago, a member still fetches what waits for it.",
        "tests/directory/test_suspending.py::test_a_suspended_member_is_refused_on_every_kind_of_connection",
    ),
    Defect(
        "the directory's word for a member's key is believed",
        "cordee/card.py",
        """
-        verify(signed, identity)
""",
        "Whoever holds the directory reads every case that is sent from then on.",
        "tests/attacks/test_malicious_directory.py::test_a_card_with_the_attackers_sealing_key_is_refused",
    ),
    Defect(
        "a profile need not be the one that its card names",
        "cordee/card.py",
        """
-            (profile is None or profile_digest(profile) == card.profile_digest, N_("its profile is another")),
+            (profile is None or bool(card.profile_digest), N_("its profile is another")),
""",
        "The directory says that an association takes in girls of twelve tonight, and it does not.",
        "tests/attacks/test_malicious_directory.py::test_a_profile_that_its_card_does_not_name_is_refused",
    ),
    Defect(
        "an older card is taken",
        "node/roster_sync.py",
        """
-            number = newest.card.number if newest else self._numbers.get(member, 1)
+            number = 1
""",
        "What is sealed to a key that was stolen and replaced is read by the thief.",
        "tests/attacks/test_malicious_directory.py::test_an_older_card_is_refused_also_after_a_newer_one_in_the_same_answer",
    ),
    Defect(
        "the log need not continue ours",
        "node/roster_sync.py",
        """
-        if tree.root() != checkpoint.root:
-            raise RosterForked(size=checkpoint.size)
""",
        "A directory that lies shows each member a list of its own.",
        "tests/attacks/test_malicious_directory.py::test_a_longer_log_that_does_not_continue_ours_is_refused",
    ),
    Defect(
        "a longer log need not hold the shorter one",
        "cordee/log.py",
        """
-    if old_node != old_root or new_node != new_root:
+    if new_node != new_root:
""",
        "A history in which a suspension never happened is taken for the continuation of the one in which it did.",
        "tests/cordee/test_log.py::test_every_consistency_proof_up_to_33_leaves_verifies_and_for_no_other_root",
    ),
    Defect(
        "one administrator fewer is enough",
        "cordee/entry_checks.py",
        """
-    require(len(given) >= at_least, Rule.TOO_FEW_SIGNATURES)
+    require(len(given) >= at_least - 1, Rule.TOO_FEW_SIGNATURES)
""",
        "One stolen key of the office admits whom it likes.",
        "tests/cordee/test_roster.py::test_below_the_threshold_nobody_is_admitted",
    ),
    Defect(
        "a recovery need not wait for its delay",
        "cordee/recovery.py",
        """
-        require(recovery.due <= step.time < recovery.lapses, Rule.RECOVERY_NOT_DUE)
+        require(recovery.announced <= step.time < recovery.lapses, Rule.RECOVERY_NOT_DUE)
""",
        "Whoever holds the office's keys takes an association's place overnight, before it can object.",
        "tests/cordee/test_recovery.py::test_the_key_is_replaced_once_the_delay_of_the_policy_has_passed_and_not_a_moment_before",
    ),
)

_MACHINE = (
    Defect(
        "the end of a content is not checked",
        "cordee/content.py",
        """
-        if self._left or not self._parser.complete:
+        if not self._parser.complete and not self._left:
""",
        "Half a case is taken for a whole one.",
        "tests/cordee/test_content.py::test_a_truncation_anywhere_is_refused",
    ),
    Defect(
        "a content is not padded",
        "cordee/layout.py",
        """
-    return (size + mask) & ~mask
+    return size
""",
        "Whoever watches the line knows from its size which file went over.",
        "tests/cordee/test_layout.py::test_padme_gives_the_sizes_of_its_paper",
    ),
    Defect(
        "a sealed field opens in any row",
        "node/vault.py",
        """
-        return _seal(self._aead, plaintext, frame(Label.VAULT, place.encode(), _row_bytes(row)))
+        return _seal(self._aead, plaintext, frame(Label.VAULT, place.encode()))
@@
-        return _unseal(self._aead, sealed, frame(Label.VAULT, place.encode(), _row_bytes(row)), place)
+        return _unseal(self._aead, sealed, frame(Label.VAULT, place.encode()), place)
""",
        "Whoever gets at the database gives one child's key, or a lead's role, to another by copying a row.",
        "tests/node/test_vault.py::test_a_sealed_field_does_not_open_in_another_place_or_row",
    ),
    Defect(
        "one half of a signature is enough",
        "cordee/signing.py",
        """
-        key._mldsa65.verify(mldsa65_signature, data, _CONTEXT)
""",
        "The day Ed25519 breaks, everything that was ever signed can be forged.",
        "tests/cordee/test_signing.py::test_both_signatures_must_hold",
    ),
    Defect(
        "a signature serves for any kind of statement",
        "cordee/signing.py",
        """
-    return frame(Label.SIGNATURE, type_name.encode("utf-8"), body)
+    return frame(Label.SIGNATURE, body)
""",
        "What a member signed as one thing is shown as another.",
        "tests/cordee/test_signing.py::test_a_signature_for_one_type_does_not_serve_another",
    ),
    Defect(
        "any act will do for a token",
        "cordee/act/arrival.py",
        """
-    if len(nonce) != NONCE_SIZE or not hmac.compare_digest(commitment(act_bytes, nonce), token.commitment):
+    if len(nonce) != NONCE_SIZE:
""",
        "An agreement is exchanged for a wider one after the minor gave it.",
        "tests/cordee/test_act.py::test_another_act_or_another_nonce_is_refused",
    ),
    Defect(
        "that the other sees another network is not noticed",
        "cordee/statements/checks.py",
        """
-        if root != at.root:
-            raise SplitView(size=at.size)
""",
        "Two members that were shown two lists go on sending each other cases under the keys of whoever lies.",
        "tests/attacks/test_malicious_directory.py::test_two_who_were_shown_different_logs_find_out_at_their_first_contact",
    ),
    Defect(
        "a connection without the hybrid exchange is taken",
        "cordee/runtime/guard.py",
        """
-    if _only(connection, "ssl_tls_version") != _TLS or _only(connection, "ssl_negotiated_key_exchange_group") != _GROUP:
+    if _only(connection, "ssl_tls_version") != _TLS:
""",
        "What goes over today's line is read in fifteen years.",
        "tests/cordee/runtime/test_tls.py::test_tls_1_3_without_the_hybrid_exchange_is_refused_at_the_first_call",
    ),
    Defect(
        "what was committed is not on the disk yet",
        "cordee/runtime/database.py",
        """
-    "PRAGMA synchronous = FULL",  # NORMAL loses acknowledged transactions in a power cut
+    "PRAGMA synchronous = NORMAL",  # NORMAL loses acknowledged transactions in a power cut
""",
        "After a power cut a case that both sides had confirmed is gone.",
        "tests/cordee/runtime/test_database.py::test_the_settings_are_those_that_keep_what_was_acknowledged",
    ),
    Defect(
        "an attachment is not flushed",
        "node/attachments.py",
        """
-                os.fsync(file.fileno())
""",
        "The case says that there is a photograph of the injury; after a power cut the file is empty.",
        "tests/node/test_attachments.py::test_what_is_finished_was_flushed_before",
    ),
    Defect(
        "what waits is acknowledged before it is flushed",
        "cordee/runtime/mailbox.py",
        """
             self._crashpoints.reach(BEFORE_FSYNC)
-            with exhausted(N_("the mailbox")):
-                os.fsync(descriptor)
""",
        "The sender erases its copy, and after a power cut the directory's is gone.",
        "tests/cordee/runtime/test_mailbox.py::test_what_is_acknowledged_was_flushed_before",
    ),
    Defect(
        "a tombstone is not flushed",
        "node/tombstones.py",
        """
                 raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
-            os.fsync(self._fd)
""",
        "After a power cut and a restore an erased case is back.",
        "tests/node/test_tombstones.py::test_a_tombstone_is_on_the_disk_when_it_is_said_to_be_set",
    ),
    Defect(
        "a file is put in place before it is flushed",
        "cordee/runtime/durable.py",
        """
-            os.fsync(file.fileno())
""",
        "After a power cut the vault's file is empty, and with it every case is lost.",
        "tests/node/test_files.py::test_a_file_is_flushed_before_it_is_put_in_place",
    ),
    Defect(
        "any field is logged",
        "cordee/runtime/logs.py",
        """
-        if allowed is not None and allowed(value):
+        if allowed is None or allowed(value):
""",
        "A name stands in the logs that the host's administrators read.",
        "tests/cordee/runtime/test_logs.py::test_a_planted_text_leaves_no_trace_in_any_field",
    ),
    Defect(
        "sessions outlive a change of the password",
        "node/accounts.py",
        """
     tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == row.id).values(sealed_password=sealed))
-    tx.execute(delete(_SESSION).where(_SESSION.c.account_id == row.id))
""",
        "The one who stole the password stays in after it was changed.",
        "tests/node/test_people.py::test_a_session_ends_when_it_is_closed_or_its_account_disabled_or_its_password_changed",
    ),
    Defect(
        "a code of the telephone works twice",
        "node/second_factor.py",
        """
-        if hmac.compare_digest(made.generate_otp(each).encode(), typed.encode()) and each > row.last_counter:
+        if hmac.compare_digest(made.generate_otp(each).encode(), typed.encode()) and each >= row.last_counter:
""",
        "Whoever looks over a shoulder comes in with the same six digits.",
        "tests/node/test_second_factor.py::test_a_code_works_once_and_none_before_it_works_after",
    ),
    Defect(
        "wrong passwords are not counted",
        "node/sessions.py",
        """
-    count_failure(tx, index, account_id, now)
""",
        "A password is guessed overnight.",
        "tests/node/test_people.py::test_ten_wrong_passwords_pause_a_name_for_a_quarter_of_an_hour_known_or_not",
    ),
    Defect(
        "a vital field is shown to whoever opens the page",
        "node/web/lines.py",
        """
-        if int(node.get("x-sensitivity", 0)) >= _VITAL and own not in revealed:
+        if int(node.get("x-sensitivity", 0)) > _VITAL and own not in revealed:
""",
        "The way to a refuge is on a screen that anybody in the room can read.",
        "tests/node/web/test_lines.py::test_a_vital_field_is_not_among_the_lines_until_it_is_asked_for",
    ),
    Defect(
        "a form of another session is taken",
        "cordee/web/request.py",
        """
-    if not _is_same(given, visit.form_token):
+    if not given:
""",
        "A page somewhere else sends a case away in the name of whoever looks at it.",
        "tests/node/web/test_access.py::test_a_form_without_this_sessions_token_is_refused",
    ),
    Defect(
        "a backup holds what was under way",
        "node/backup.py",
        """
-                strip(copy)
""",
        "A copy on a stick holds the keys of cases that were meant to be read once.",
        "tests/node/test_backup.py::test_neither_sessions_nor_keys_of_what_was_under_way_are_written_into_a_backup",
    ),
)

PLANTED: tuple[Defect, ...] = (*_SENDING, *_RECEIVING, *_LEGS, *_MACHINE)
