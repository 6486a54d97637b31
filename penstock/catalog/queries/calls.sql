-- claim_token: remember a ClientToken, unless it is known
INSERT INTO client_tokens (number, access_key_id, client_token, fingerprint, result)
VALUES {rows (:number, :access_key_id, :client_token, :fingerprint, :result)} ON CONFLICT DO NOTHING;

-- token: what is known of a ClientToken
SELECT fingerprint, result FROM client_tokens WHERE access_key_id = :access_key_id AND client_token = :client_token;

-- answer_token: what the call that brought the token was answered
UPDATE client_tokens SET result = :result WHERE access_key_id = :access_key_id AND client_token = :client_token;

-- forget_result: let a ClientToken of those kept at that time stand for nothing again
DELETE FROM client_tokens WHERE number >= :since AND number < :before AND result = :result;

-- forget_tokens: remove ClientTokens that are old enough
DELETE FROM client_tokens WHERE number IN (
    SELECT number FROM client_tokens WHERE number < :before ORDER BY number LIMIT :limit);

-- nonce_turn: which table of nonces is filled, and since when
SELECT odd, since_ns FROM nonce_turn;

-- turn_nonces: fill the other table from now on
UPDATE nonce_turn SET odd = 1 - odd, since_ns = :now_ns;

-- add_even: nonces into the even table
INSERT INTO nonces_even (digest) VALUES {rows (:digest)} ON CONFLICT DO NOTHING;

-- add_odd: nonces into the odd table
INSERT INTO nonces_odd (digest) VALUES {rows (:digest)} ON CONFLICT DO NOTHING;

-- seen: which nonces are known
SELECT digest FROM nonces_even WHERE digest IN ({list digests})
UNION ALL SELECT digest FROM nonces_odd WHERE digest IN ({list digests});

-- seen_even: which nonces the even table knows
SELECT digest FROM nonces_even WHERE digest IN ({list digests});

-- seen_odd: which nonces the odd table knows
SELECT digest FROM nonces_odd WHERE digest IN ({list digests});

-- clear_even: forget the even table's nonces
DELETE FROM nonces_even;

-- clear_odd: forget the odd table's nonces
DELETE FROM nonces_odd;

-- last_token: the newest number ever given to a ClientToken that is still known
SELECT COALESCE(MAX(number), 0) AS number FROM client_tokens;
