#include "core/backend/read_checks.hpp"

#include <algorithm>
#include <utility>

namespace seedbed {

read_checks::read_checks(std::int32_t pieces, int running, int ahead)
    : m_most_running(running)
    , m_most_ahead(ahead)
    , m_pieces(static_cast<std::size_t>(pieces)) {}

void read_checks::expect(piece_index piece) {
    auto& expected = at(piece);
    if (expected.current == state::unknown) {
        m_expected.push_back(piece);
        expected.current = state::expected;
    }
}

read_checks::answer read_checks::look_up(piece_index piece) {
    auto& found = at(piece);
    no_longer_ahead(found);
    switch (found.current) {
    case state::good:
        return answer::pass;
    case state::differs:
        return answer::differs;
    case state::unknown:
    case state::expected:
        m_wanted.push_back(piece);
        found.current = state::wanted;
        break;
    case state::wanted:
    case state::running:
        break;
    }
    return answer::wait;
}

void read_checks::hold(piece_index piece, block_waiter& read) {
    auto& held = m_held[piece];
    held.reads.push(&read);
    ++held.count;
}

std::optional<piece_index> read_checks::next() {
    if (m_running >= m_most_running) {
        return std::nullopt;
    }
    if (auto const piece = take_wanted()) {
        if (m_count_ahead >= m_most_ahead) {
            forget_oldest_ahead();
        }
        start(*piece);
        return piece;
    }
    while (!m_expected.empty() && m_count_ahead < m_most_ahead) {
        auto const piece = m_expected.front();
        if (at(piece).current == state::expected) {
            while (!m_ahead.empty() && !at(m_ahead.front()).ahead) {
                m_ahead.pop_front();
            }
            m_ahead.push_back(piece);
            at(piece).ahead = true;
            ++m_count_ahead;
            start(piece);
            m_expected.pop_front();
            return piece;
        }
        m_expected.pop_front();
    }
    return std::nullopt;
}

std::optional<piece_index> read_checks::take_wanted() {
    if (m_wanted.empty()) {
        return std::nullopt;
    }
    auto chosen = m_wanted.begin();
    if (std::exchange(m_largest_next, !m_largest_next)) {
        auto const count = [this](piece_index piece) {
            auto const held = m_held.find(piece);
            return held != m_held.end() ? held->second.count : 0;
        };
        chosen = std::ranges::max_element(m_wanted, {}, count);
    }
    auto const piece = *chosen;
    m_wanted.erase(chosen);
    return piece;
}

void read_checks::start(piece_index piece) {
    at(piece).current = state::running;
    ++m_running;
}

waiter_list read_checks::ended(piece_index piece, outcome how) {
    --m_running;
    auto& hashed = at(piece);
    switch (how) {
    case outcome::good:
        hashed.current = state::good;
        break;
    case outcome::differs:
        hashed.current = state::differs;
        no_longer_ahead(hashed);
        break;
    case outcome::failed:
        hashed.current = state::unknown;
        no_longer_ahead(hashed);
        break;
    }
    auto const held = m_held.extract(piece);
    return held ? held.mapped().reads : waiter_list{};
}

waiter_list read_checks::stop() {
    for (auto const* const queue : {&m_wanted, &m_expected}) {
        for (auto const piece : *queue) {
            auto& dropped = at(piece).current;
            if (dropped == state::wanted || dropped == state::expected) {
                dropped = state::unknown;
            }
        }
    }
    m_wanted.clear();
    m_expected.clear();
    waiter_list all;
    for (auto const& [piece, held] : std::exchange(m_held, {})) {
        all.append(held.reads);
    }
    return all;
}

void read_checks::no_longer_ahead(piece_state& piece) noexcept {
    if (std::exchange(piece.ahead, false)) {
        --m_count_ahead;
    }
}

void read_checks::forget_oldest_ahead() noexcept {
    while (!m_ahead.empty()) {
        auto const piece = m_ahead.front();
        m_ahead.pop_front();
        if (at(piece).ahead) {
            no_longer_ahead(at(piece));
            return;
        }
    }
}

} // namespace seedbed
