#include "daemon/status/status_collector.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

namespace seedbed {

namespace {

/// The maximum age of numbers that are reused.
constexpr std::chrono::milliseconds max_age{500};

} // namespace

/// Held by each pending answer of libtorrent; its callback runs when the last of them releases it, on any thread.
struct status_collector::round {
    explicit round(std::function<void()> call)
        : ended(std::move(call)) {}
    round(round const&) = delete;
    round& operator=(round const&) = delete;
    ~round() { ended(); }

    std::function<void()> ended;
};

status_collector::status_collector(boost::asio::io_context& main, sources from)
    : m_main(main)
    , m_from(std::move(from))
    , m_timer(main) {}

status_collector::~status_collector() = default;

void status_collector::collect(clock::duration patience, receiver call) {
    auto const now = clock::now();
    m_waiting.push_back({now + patience, std::move(call)});
    if (m_round.expired()) {
        if (now - m_told < max_age) {
            answer(std::exchange(m_waiting, {}));
            return;
        }
        begin_round();
    }
    arm_timer();
}

void status_collector::close() {
    m_waiting.clear();
    m_timer.cancel();
}

void status_collector::begin_round() {
    m_asked = clock::now();
    m_answered = false;
    auto const present = std::make_shared<round>([this, alive = std::weak_ptr(m_alive), &main = m_main] {
        boost::asio::post(main, [this, alive] {
            if (!alive.expired()) {
                end_round();
            }
        });
    });
    m_round = present;
    m_from.ask_progress([this, present, alive = std::weak_ptr(m_alive)] {
        if (!alive.expired()) {
            m_answered = true;
        }
    });
    m_from.ask_peers(m_worker, [this, present, alive = std::weak_ptr(m_alive)](std::string const& image,
                                                                               std::vector<peer_status> const& peers) {
        if (!alive.expired()) {
            m_peers[image] = std::make_shared<std::vector<peer_status> const>(peers);
        }
    });
}

void status_collector::end_round() {
    m_told = clock::now();
    m_timer.cancel();
    answer(std::exchange(m_waiting, {}));
}

void status_collector::answer(std::vector<asker> const& askers) {
    if (askers.empty()) {
        return;
    }
    auto snapshot = m_from.take();
    if (!m_answered) {
        snapshot.silence = clock::now() - m_asked;
    }
    std::erase_if(m_peers, [&snapshot](auto const& known) {
        return std::ranges::none_of(snapshot.images,
                                    [&known](auto const& image) { return image.status.name == known.first; });
    });
    for (auto& image : snapshot.images) {
        if (auto const found = m_peers.find(image.status.name); found != m_peers.end()) {
            image.peers = found->second;
        }
    }
    for (auto const& each : askers) {
        each.call(snapshot);
    }
}

void status_collector::answer_impatient() {
    auto const now = clock::now();
    auto const patient =
        std::partition(m_waiting.begin(), m_waiting.end(), [now](asker const& each) { return each.until <= now; });
    std::vector<asker> const impatient(std::make_move_iterator(m_waiting.begin()), std::make_move_iterator(patient));
    m_waiting.erase(m_waiting.begin(), patient);
    answer(impatient);
    arm_timer();
}

void status_collector::arm_timer() {
    if (m_waiting.empty()) {
        return;
    }
    m_timer.expires_at(std::ranges::min(m_waiting, {}, &asker::until).until);
    m_timer.async_wait([this, alive = std::weak_ptr(m_alive)](boost::system::error_code const& ec) {
        if (!ec && !alive.expired()) {
            answer_impatient();
        }
    });
}

} // namespace seedbed
