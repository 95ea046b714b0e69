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
    changes: tuple[tuple[str, str], ...]  # what stands there now, once, and what would stand there
    harm: str  # what it would do to somebody
    caught_by: str  # the test that must fail, by its id; one with parameters if any of them fails


def _one(name: str, file: str, old: str, new: str, harm: str, caught_by: str) -> Defect:
    return Defect(name, file, ((old, new),), harm, caught_by)


_SENDING = (
    _one(
        "a rival offer is not withdrawn when another is accepted",
        "node/answers.py",
        "        rivals = [each for each in others if each.hands_over and each.state is State.OFFERED]\n",
        "        rivals: list[Transfer] = []\n",
        "Two associations each believe that the child is theirs to protect.",
        "tests/journeys/test_outcomes.py::test_of_two_who_accept_exactly_one_holds_the_case",
    ),
    _one(
        "an act for one transfer serves two",
        "node/answers.py",
        'if parse_act(terms.act).single_use and terms.kind != "update":',
        'if parse_act(terms.act).single_use and terms.kind == "update":',
        "What a minor allowed once is passed on a second time.",
        "tests/journeys/test_outcomes.py::test_an_act_for_one_transfer_serves_one",
    ),
    _one(
        "all that was offered is shipped though less was taken",
        "node/answers.py",
        "sealed_terms=narrowed.sealed(data_key, present.id),",
        "sealed_terms=terms.sealed(data_key, present.id),",
        "The recipient gets sections that it said it does not need.",
        "tests/journeys/test_outcomes.py::test_a_recipient_takes_fewer_sections_and_gets_no_more",
    ),
    _one(
        "a fresh signature is sent before it is kept",
        "node/outbox.py",
        "        if not await house.db.write(keep):\n            return True\n"
        "        return await self._send(Waiting(waiting.transfer, waiting.kind, fresh, waiting.position))\n",
        "        await self._client.submit(fresh)\n"
        "        if not await house.db.write(keep):\n            return True\n"
        "        return await self._send(Waiting(waiting.transfer, waiting.kind, fresh, waiting.position))\n",
        "After a crash the node signs once more, and the broker refuses the second for ever: the case hangs between two.",
        "tests/journeys/test_every_step.py::test_what_leaves_was_kept_before",
    ),
    _one(
        "a refused step is forgotten before the broker was asked",
        "node/outbox.py",
        "        try:\n            await self._listener.reconcile(",
        "        await self._house.db.write(\n"
        "            lambda tx: transfer_store.forget_waiting(tx, waiting.transfer, [waiting.kind])\n"
        "        )\n"
        "        try:\n            await self._listener.reconcile(",
        "The broker took the offer after all: it goes on without its sender, who may offer the case again.",
        "tests/journeys/test_outcomes.py::"
        "test_a_refused_step_is_not_forgotten_before_the_directory_has_said_how_it_stands",
    ),
    _one(
        "it is shipped to a member that was suspended since it accepted",
        "node/shipping.py",
        "        self._house.roster.require_fresh(self._house.clock.now()).active(job.peer)\n",
        "        self._house.roster.require_fresh(self._house.clock.now())\n",
        "A case is uploaded for an association that lost the network's trust an hour ago.",
        "tests/journeys/test_outcomes.py::test_a_suspended_members_transfer_stands_still_and_goes_on_afterwards",
    ),
    _one(
        "an offer is made though the list of members is old",
        "node/sending.py",
        "        roster = house.roster.require_fresh(now)\n        stored",
        "        roster = house.roster.roster\n        stored",
        "A node that is kept in the past sends cases to whom the others have suspended.",
        "tests/attacks/test_malicious_directory.py::test_a_frozen_directory_is_refused_once_its_checkpoint_is_stale",
    ),
    _one(
        "withdrawing an act leaves the transfers that rest on it",
        "node/sending.py",
        "            for each in asked_for:\n                write_withdrawal(house, tx, each, actor=handler.account_id, now=now)\n",
        "",
        "A minor takes the agreement back, and the case leaves all the same.",
        "tests/journeys/test_outcomes.py::test_withdrawing_an_act_withdraws_all_that_rests_on_it",
    ),
    _one(
        "the decision is shown and not asked",
        "node/sending.py",
        "        decision.require()\n",
        "",
        "A case leaves although the minor refused.",
        "tests/attacks/test_scope.py::test_a_whole_node_offers_nothing_beyond_an_act_that_allows_it",
    ),
    _one(
        "whoever is not of the team offers its case",
        "node/sending.py",
        "        need_to_know.require_case(tx, handler, stored.case, now=now)\n",
        "",
        "A colleague who was kept out of a case sends it elsewhere.",
        "tests/node/rpc/test_need_to_know.py::test_a_case_that_is_kept_to_others_opens_in_no_way",
    ),
    _one(
        "the keys stay when a transfer is over",
        "node/transfer_store.py",
        '        "sealed_content_key": None,\n        "sealed_one_time_seed": None,\n        "job": None,',
        '        "job": None,',
        "Whoever takes the machine a year later can read what the mailbox once held.",
        "tests/journeys/test_whole_nodes.py::test_a_case_with_files_arrives_and_is_held_once",
    ),
)

_RECEIVING = (
    Defect(
        "the case is stored before its receipt",
        "node/fetching.py",
        (
            (
                "            transfer_store.add_statement(tx, job.id, Kind.RECEIPT_TAKEN, signed, ours=True, now=now)\n",
                "            receipts.append(signed)\n",
            ),
            (
                "            surplus = await house.db.write(step)\n",
                "            surplus = await house.db.write(step)\n"
                "            for each in receipts:\n"
                "                await house.db.write(\n"
                "                    lambda tx, each=each: transfer_store.add_statement(\n"
                "                        tx, job.id, Kind.RECEIPT_TAKEN, each, ours=True, now=house.clock.now()\n"
                "                    )\n"
                "                )\n",
            ),
            (
                "        case_id = parcel.case.case_id\n\n        def step",
                "        case_id = parcel.case.case_id\n        receipts: list[Signed] = []\n\n        def step",
            ),
        ),
        "A power cut between the two: they have the case, the sender believes they do not, and two hold it for ever.",
        "tests/journeys/test_every_step.py::test_after_each_step_of_a_transfer_all_that_belongs_together_is_there",
    ),
    Defect(
        "the one-time key is erased after the import",
        "node/fetching.py",
        (
            (
                "            transfer_store.end(tx, job.id, State.RECEIVED, now=now, case_id=case_id,"
                " act_id=arrival.act.act_id)\n",
                "            seed = transfer_store.read_transfer(tx, job.id).sealed_one_time_seed\n"
                "            transfer_store.end(\n"
                "                tx,\n"
                "                job.id,\n"
                "                State.RECEIVED,\n"
                "                now=now,\n"
                "                case_id=case_id,\n"
                "                act_id=arrival.act.act_id,\n"
                "                sealed_one_time_seed=seed,\n"
                "            )\n",
            ),
            (
                "        done = surplus is not None\n",
                "        await house.db.write(\n"
                "            lambda tx: transfer_store.set_fields(\n"
                "                tx, job.id, now=house.clock.now(), sealed_one_time_seed=None\n"
                "            )\n"
                "        )\n"
                "        done = surplus is not None\n",
            ),
        ),
        "After a crash the key stays: whoever kept the ciphertext and takes the machine later reads the case.",
        "tests/journeys/test_every_step.py::test_after_each_step_of_a_transfer_all_that_belongs_together_is_there",
    ),
    _one(
        "the journal is written after the import",
        "node/fetching.py",
        '            journal.append(\n                tx,\n                now=now,\n                actor="node",\n'
        '                action="transfer.received",',
        '            (lambda *_, **__: None)(\n                tx,\n                now=now,\n                actor="node",\n'
        '                action="transfer.received",',
        "A case came and the journal does not say from whom.",
        "tests/journeys/test_every_step.py::test_after_each_step_of_a_transfer_all_that_belongs_together_is_there",
    ),
    _one(
        "what was withdrawn while it was opened is imported",
        "node/fetching.py",
        '            if present.state is not State.SHIPPED or present.job != "fetch":\n'
        "                return None  # withdrawn or expired while it was being opened\n",
        "",
        "The sender was told that nothing had been received, and it was.",
        "tests/journeys/test_every_step.py::test_what_is_withdrawn_while_it_is_opened_is_not_imported",
    ),
    _one(
        "the scope is not checked",
        "node/fetching.py",
        "        check_scope(\n            sections,",
        "        (lambda *_, **__: None)(\n            sections,",
        "A sender that cheats, or a mistake there, puts a child's medical file where nobody may have it.",
        "tests/attacks/test_scope.py::test_what_a_cheating_sender_ships_is_refused_whole",
    ),
    _one(
        "the manifest need not be the one announced",
        "node/fetching.py",
        "        if held.digest != shipment.manifest_digest:\n"
        '            raise ContentDamaged(problem=N_("the manifest is not the one announced"))\n',
        "",
        "The receipt says one thing and the case is another: neither side can prove what went over.",
        "tests/attacks/test_scope.py::test_what_a_cheating_sender_ships_is_refused_whole",
    ),
    _one(
        "what our own tombstones say is not asked",
        "node/fetching.py",
        "        if house.tombstones.contains(TRANSFER, job.id.hex()):\n"
        "            raise TransferOver(state=State.WITHDRAWN)\n",
        "",
        "A backup that is put back fetches a case that was erased because the minor asked for it.",
        "tests/journeys/test_every_step.py::test_what_has_a_tombstone_is_not_fetched_again",
    ),
    _one(
        "a one-time key is used twice",
        "node/receiving.py",
        "        key = SealingKey.generate(house.random)\n",
        "        key = self.__dict__.setdefault('key', SealingKey.generate(house.random))\n",
        "Whoever gets the key of one transfer reads all the others.",
        "tests/journeys/test_every_step.py::test_each_acceptance_has_a_key_of_its_own",
    ),
    _one(
        "an offer is accepted after its time",
        "node/receiving.py",
        "        if present.expires_at <= now:\n            raise TransferOver(state=State.EXPIRED)\n",
        "",
        "Somebody plans a night for a child who will not come: the broker never takes the answer.",
        "tests/journeys/test_every_step.py::test_an_offer_is_not_answered_here_once_its_time_is_over",
    ),
    _one(
        "a withdrawal that comes before its offer leaves no tombstone",
        "node/arrivals.py",
        "                transfer_store.withdrawn_before(tx, transfer, withdrawal.token_id, now=now)\n",
        "",
        "An offer that was withdrawn is shown, and accepted.",
        "tests/journeys/test_outcomes.py::test_a_withdrawal_that_overtakes_its_offer_is_remembered",
    ),
    _one(
        "what is erased on request keeps its key",
        "node/records.py",
        "    tx.execute(delete(_KEY).where(_KEY.c.case_id == case_id))\n",
        "",
        "Every backup can still be read, although the minor was told that it is gone.",
        "tests/node/test_records.py::test_once_its_key_is_destroyed_nothing_of_a_case_can_be_read",
    ),
    _one(
        "a transfer's case is imported twice",
        "node/records.py",
        "    except IntegrityError as imported:\n        raise AlreadyImported(transfer=transfer.short) from imported\n",
        "    except IntegrityError:\n        pass\n",
        "An erased case stands there again.",
        "tests/node/test_records.py::test_an_erased_case_may_come_again_but_not_by_the_same_transfer",
    ),
    _one(
        "a case can be handed over to a second association",
        "node/records.py",
        "        if row.handed_to == bytes(transfer):\n            return\n        raise RecordClosed()\n",
        "        return\n",
        "Each of two associations believes that it alone has the case.",
        "tests/node/test_records.py::test_a_case_is_handed_over_once_and_is_then_read_only",
    ),
    _one(
        "an update comes in under an act that was withdrawn",
        "node/updating.py",
        "    if not acts.in_force(tx, house.vault, found.act_id, now=now, limits=limits):\n"
        '        raise NotCovered(missing=N_("an act that is in force"), rule=10)\n',
        "",
        "What a minor took back goes on being shared, word after word.",
        "tests/journeys/test_updates.py::test_one_update_at_a_time_and_none_once_the_act_is_withdrawn",
    ),
)

_LEGS = (
    _one(
        "events are acknowledged before they are kept",
        "node/arrivals.py",
        "        house.crashpoints.reach(SHIPMENT_BEFORE)\n        await house.db.write(step)\n",
        "        await house.db.write(lambda tx: transfer_store.keep_cursor(tx, sequence))\n"
        "        house.crashpoints.reach(SHIPMENT_BEFORE)\n        await house.db.write(step)\n",
        "A crash in between: the shipment is never heard of again, and the case waits until it runs out.",
        "tests/journeys/test_every_step.py::test_after_each_step_of_a_transfer_all_that_belongs_together_is_there",
    ),
    _one(
        "the last checkpoint is noted after it was signed",
        "directory/roster_store.py",
        "        await asyncio.to_thread(self._last_signed.advance, self._tree)\n"
        "        self._crashpoints.reach(AFTER_LAST_SIGNED)\n",
        "        self._crashpoints.reach(AFTER_LAST_SIGNED)\n",
        "Restored from a backup, the directory signs a second history: a suspension can be made to vanish.",
        "tests/directory/test_restored.py::test_nothing_is_signed_or_served_below_what_was_signed",
    ),
    _one(
        "the record of what was signed is not asked",
        "directory/lastsigned.py",
        "        if tree.size < self._head.size or tree.root(self._head.size) != self._head.root:\n",
        "        if tree.size < self._head.size:\n",
        "Another log of the same size is signed: two members see two networks.",
        "tests/directory/test_lifecycle.py::test_another_log_of_the_same_size_is_not_signed",
    ),
    _one(
        "a repeated submission is taken as another",
        "directory/transfers.py",
        "    again = state_of_taken(tx, statement.digest)\n    if again is not None:\n        return again\n    transfer =",
        "    transfer =",
        "A node whose line broke is told that its own statement is another's, and gives it up.",
        "tests/directory/test_broker.py::test_one_statement_submitted_many_times_at_once_is_taken_once",
    ),
    _one(
        "a second answer is taken",
        "cordee/transfer.py",
        "    if any(step_of(kind) == step_of(before) for before in taken):\n",
        "    if any(kind == before for before in taken):\n",
        "Sender and recipient remember different answers.",
        "tests/cordee/test_transfer.py::test_another_answer_after_an_answer_is_called_so",
    ),
    _one(
        "a token serves two transfers",
        "directory/transfers.py",
        "    if tx.execute(_OF_TOKEN, {\"token\": offer.token.id}).first() is not None:\n",
        "    if False:\n",
        "An agreement to one transfer is used for a second.",
        "tests/directory/test_broker.py::test_a_token_is_for_one_transfer",
    ),
    _one(
        "the quota counts the newest transfer only",
        "directory/transfers.py",
        "    select(func.coalesce(func.sum(_TRANSFER.c.counted), 0)).where(",
        "    select(func.coalesce(func.max(_TRANSFER.c.counted), 0)).where(",
        "One member fills the directory's disk, and nobody's case goes anywhere.",
        "tests/directory/test_broker.py::test_the_quota_counts_what_was_announced_and_comes_back_when_a_transfer_ends",
    ),
    _one(
        "time ends nothing at the broker but by the sweep",
        "directory/broker.py",
        "        if transfer is not None and self._is_over(transfer, now):\n            raise _Due\n        roster",
        "        roster",
        "A late answer finds an open door.",
        "tests/directory/test_broker.py::test_a_step_after_its_time_finds_the_transfer_expired_even_before_anybody_swept",
    ),
    _one(
        "a shipment is taken although not all of it waits",
        "directory/broker.py",
        "        if isinstance(statement, Shipment):\n            await self._require_waiting(statement, taken)\n",
        "",
        "The sender erases its key, and what waits is half a case that nobody can ever open.",
        "tests/directory/test_broker.py::test_a_shipment_names_exactly_what_waits",
    ),
    _one(
        "a suspended member's statements are taken while they wait to be written",
        "directory/broker.py",
        "            _require_standing(self._rosters.roster, seen)  # the roster may have grown since the statement was read\n",
        "",
        "In the second of its suspension a member still accepts a case.",
        "tests/directory/test_suspending.py::test_a_step_that_was_read_before_a_suspension_is_not_written_after_it",
    ),
    _one(
        "a suspended member is served on a resumed session",
        "node/roster_sync.py",
        "                self.roster.active(member)\n                return member\n",
        "                return member\n",
        "Suspended a minute ago, a member still puts ciphertext into other nodes' mailboxes.",
        "tests/journeys/test_suspended_at_a_mailbox.py::"
        "test_a_suspended_member_is_refused_at_a_nodes_own_mailbox_also_over_a_resumed_session",
    ),
    _one(
        "the directory's word for a member's key is believed",
        "cordee/card.py",
        "        verify(signed, identity)\n        return cls(",
        "        return cls(",
        "Whoever holds the directory reads every case that is sent from then on.",
        "tests/attacks/test_malicious_directory.py::test_a_card_with_the_attackers_sealing_key_is_refused",
    ),
    _one(
        "a profile need not be the one that its card names",
        "cordee/card.py",
        "profile is None or profile_digest(profile) == card.profile_digest",
        "profile is None or bool(card.profile_digest)",
        "The directory says that an association takes in girls of twelve tonight, and it does not.",
        "tests/attacks/test_malicious_directory.py::test_a_profile_that_its_card_does_not_name_is_refused",
    ),
    _one(
        "an older card is taken",
        "node/roster_sync.py",
        "            number = newest.card.number if newest else self._numbers.get(member, 1)\n",
        "            number = 1\n",
        "What is sealed to a key that was stolen and replaced is read by the thief.",
        "tests/attacks/test_malicious_directory.py::"
        "test_an_older_card_is_refused_also_after_a_newer_one_in_the_same_answer",
    ),
    _one(
        "the log need not continue ours",
        "node/roster_sync.py",
        "        if tree.root() != checkpoint.root:\n            raise RosterForked(size=checkpoint.size)\n",
        "",
        "A directory that lies shows each member a list of its own.",
        "tests/attacks/test_malicious_directory.py::test_a_longer_log_that_does_not_continue_ours_is_refused",
    ),
    _one(
        "a longer log need not hold the shorter one",
        "cordee/log.py",
        "    if old_node != old_root or new_node != new_root:\n",
        "    if new_node != new_root:\n",
        "A history in which a suspension never happened is taken for the continuation of the one in which it did.",
        "tests/cordee/test_log.py::test_every_consistency_proof_up_to_33_leaves_verifies_and_for_no_other_root",
    ),
    _one(
        "one administrator fewer is enough",
        "cordee/entry_checks.py",
        "    require(len(given) >= at_least, Rule.TOO_FEW_SIGNATURES)\n",
        "    require(len(given) >= at_least - 1, Rule.TOO_FEW_SIGNATURES)\n",
        "One stolen key of the office admits whom it likes.",
        "tests/cordee/test_roster.py::test_below_the_threshold_nobody_is_admitted",
    ),
    _one(
        "a recovery need not wait for its delay",
        "cordee/recovery.py",
        "        require(recovery.due <= step.time < recovery.lapses, Rule.RECOVERY_NOT_DUE)\n",
        "        require(recovery.announced <= step.time < recovery.lapses, Rule.RECOVERY_NOT_DUE)\n",
        "Whoever holds the office's keys takes an association's place overnight, before it can object.",
        "tests/cordee/test_recovery.py::"
        "test_the_key_is_replaced_once_the_delay_of_the_policy_has_passed_and_not_a_moment_before",
    ),
)

_MACHINE = (
    _one(
        "the end of a content is not checked",
        "cordee/content.py",
        "        if self._left or not self._parser.complete:\n",
        "        if not self._parser.complete and not self._left:\n",
        "Half a case is taken for a whole one.",
        "tests/cordee/test_content.py::test_a_truncation_anywhere_is_refused",
    ),
    _one(
        "a content is not padded",
        "cordee/layout.py",
        "    return (size + mask) & ~mask\n",
        "    return size\n",
        "Whoever watches the line knows from its size which file went over.",
        "tests/cordee/test_content.py::test_two_cases_of_one_bucket_cannot_be_told_apart_by_size",
    ),
    Defect(
        "a sealed field opens in any row",
        "node/vault.py",
        (
            (
                "        return _seal(self._aead, plaintext, frame(Label.VAULT, place.encode(), _row_bytes(row)))\n",
                "        return _seal(self._aead, plaintext, frame(Label.VAULT, place.encode()))\n",
            ),
            (
                "        return _unseal(self._aead, sealed, frame(Label.VAULT, place.encode(), _row_bytes(row)), place)\n",
                "        return _unseal(self._aead, sealed, frame(Label.VAULT, place.encode()), place)\n",
            ),
        ),
        "Whoever gets at the database gives one child's key, or a lead's role, to another by copying a row.",
        "tests/node/test_vault.py::test_a_sealed_field_does_not_open_in_another_place_or_row",
    ),
    _one(
        "one half of a signature is enough",
        "cordee/signing.py",
        "        key._mldsa65.verify(mldsa65_signature, data, _CONTEXT)\n",
        "",
        "The day Ed25519 breaks, everything that was ever signed can be forged.",
        "tests/cordee/test_signing.py::test_both_signatures_must_hold",
    ),
    _one(
        "a signature serves for any kind of statement",
        "cordee/signing.py",
        "    return frame(Label.SIGNATURE, type_name.encode(\"utf-8\"), body)\n",
        "    return frame(Label.SIGNATURE, body)\n",
        "What a member signed as one thing is shown as another.",
        "tests/cordee/test_signing.py::test_a_signature_for_one_type_does_not_serve_another",
    ),
    _one(
        "any act will do for a token",
        "cordee/act/arrival.py",
        "    if len(nonce) != NONCE_SIZE or not hmac.compare_digest(commitment(act_bytes, nonce), token.commitment):\n",
        "    if len(nonce) != NONCE_SIZE:\n",
        "An agreement is exchanged for a wider one after the minor gave it.",
        "tests/cordee/test_act.py::test_another_act_or_another_nonce_is_refused",
    ),
    _one(
        "that the other sees another network is not noticed",
        "cordee/statements/checks.py",
        "        if root != at.root:\n            raise SplitView(size=at.size)\n",
        "",
        "Two members that were shown two lists go on sending each other cases under the keys of whoever lies.",
        "tests/attacks/test_malicious_directory.py::test_two_who_were_shown_different_logs_find_out_at_their_first_contact",
    ),
    _one(
        "a connection without the hybrid exchange is taken",
        "cordee/runtime/guard.py",
        "    if _only(connection, \"ssl_tls_version\") != _TLS or "
        "_only(connection, \"ssl_negotiated_key_exchange_group\") != _GROUP:\n",
        "    if _only(connection, \"ssl_tls_version\") != _TLS:\n",
        "What goes over today's line is read in fifteen years.",
        "tests/cordee/runtime/test_tls.py::test_tls_1_3_without_the_hybrid_exchange_is_refused_at_the_first_call",
    ),
    _one(
        "what was committed is not on the disk yet",
        "cordee/runtime/database.py",
        '    "PRAGMA synchronous = FULL",',
        '    "PRAGMA synchronous = NORMAL",',
        "After a power cut a case that both sides had confirmed is gone.",
        "tests/cordee/runtime/test_database.py::test_the_settings_are_those_that_keep_what_was_acknowledged",
    ),
    _one(
        "an attachment is not flushed",
        "node/attachments.py",
        "                os.fsync(file.fileno())\n        except OSError as failed:\n            self._give_up(failed)\n",
        "        except OSError as failed:\n            self._give_up(failed)\n",
        "The case says that there is a photograph of the injury; after a power cut the file is empty.",
        "tests/node/test_attachments.py::test_what_is_finished_was_flushed_before",
    ),
    _one(
        "what waits is acknowledged before it is flushed",
        "cordee/runtime/mailbox.py",
        "            with _typed():\n                os.fsync(descriptor)\n            self._crashpoints.reach(AFTER_FSYNC)\n",
        "            self._crashpoints.reach(AFTER_FSYNC)\n",
        "The sender erases its copy, and after a power cut the directory's is gone.",
        "tests/cordee/runtime/test_mailbox.py::test_what_is_acknowledged_was_flushed_before",
    ),
    _one(
        "a tombstone is not flushed",
        "node/tombstones.py",
        "                    raise OSError(\"the line was not written whole\")\n                os.fsync(self._fd)\n",
        "                    raise OSError(\"the line was not written whole\")\n",
        "After a power cut and a restore an erased case is back.",
        "tests/node/test_tombstones.py::test_a_tombstone_is_on_the_disk_when_it_is_said_to_be_set",
    ),
    _one(
        "a file is put in place before it is flushed",
        "node/files.py",
        "            file.flush()\n            os.fsync(file.fileno())\n",
        "            file.flush()\n",
        "After a power cut the vault's file is empty, and with it every case is lost.",
        "tests/node/test_files.py::test_a_file_is_flushed_before_it_is_put_in_place",
    ),
    _one(
        "any field is logged",
        "cordee/runtime/logs.py",
        "        if allowed is not None and allowed(value):\n",
        "        if allowed is None or allowed(value):\n",
        "A name stands in the logs that the host's administrators read.",
        "tests/cordee/runtime/test_logs.py::test_a_planted_text_leaves_no_trace_in_any_field",
    ),
    _one(
        "sessions outlive a change of the password",
        "node/accounts.py",
        "    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == row.id).values(sealed_password=sealed))\n"
        "    tx.execute(delete(_SESSION).where(_SESSION.c.account_id == row.id))\n",
        "    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == row.id).values(sealed_password=sealed))\n",
        "The one who stole the password stays in after it was changed.",
        "tests/node/test_people.py::"
        "test_a_session_ends_when_it_is_closed_or_its_account_disabled_or_its_password_changed",
    ),
    _one(
        "a code of the telephone works twice",
        "node/second_factor.py",
        " and each > row.last_counter:",
        " and each >= row.last_counter:",
        "Whoever looks over a shoulder comes in with the same six digits.",
        "tests/node/test_second_factor.py::test_a_code_works_once_and_none_before_it_works_after",
    ),
    _one(
        "wrong passwords are not counted",
        "node/sessions.py",
        "    count_failure(tx, index, account_id, now)\n    return SignIn(None, WrongPassword())\n",
        "    return SignIn(None, WrongPassword())\n",
        "A password is guessed overnight.",
        "tests/node/test_people.py::test_ten_wrong_passwords_pause_a_name_for_a_quarter_of_an_hour_known_or_not",
    ),
    _one(
        "a vital field is shown to whoever opens the page",
        "node/web/lines.py",
        "        if int(node.get(\"x-sensitivity\", 0)) >= _VITAL and own not in revealed:\n",
        "        if int(node.get(\"x-sensitivity\", 0)) > _VITAL and own not in revealed:\n",
        "The way to a refuge is on a screen that anybody in the room can read.",
        "tests/node/web/test_lines.py::test_a_vital_field_is_not_among_the_lines_until_it_is_asked_for",
    ),
    _one(
        "a form of another session is taken",
        "cordee/web/request.py",
        "    if not _is_same(given, visit.form_token):\n",
        "    if not given:\n",
        "A page somewhere else sends a case away in the name of whoever looks at it.",
        "tests/node/web/test_access.py::test_a_form_without_this_sessions_token_is_refused",
    ),
    _one(
        "a backup holds what was under way",
        "node/backup.py",
        "            strip(copy)\n",
        "",
        "A copy on a stick holds the keys of cases that were meant to be read once.",
        "tests/node/test_backup.py::test_nothing_of_what_was_under_way_is_in_a_backup",
    ),
)

PLANTED: tuple[Defect, ...] = (*_SENDING, *_RECEIVING, *_LEGS, *_MACHINE)
