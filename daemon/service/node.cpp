#include "daemon/service/node.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <thread>
#include <utility>

#include "daemon/log/logging.hpp"
#include "daemon/service/termination.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr auto stop_patience = 5s;

backend_options to_backend_options(settings const& wanted) {
    backend_options options;
    options.cache_stripes = wanted.memory.cache_shards;
    options.cache_bytes = wanted.memory.cache;
    options.huge_pages = wanted.memory.huge_pages;
    options.hashing.ahead = wanted.hashing.ahead;
    return options;
}

/// Bytes that may wait to be written before peers are paused: the whole pool; the backend reserves a part of it for
/// reads.
std::int64_t queued_bytes(settings const& wanted) {
    return wanted.memory.pool;
}

} // namespace

int hash_threads(settings const& wanted) {
    return wanted.hashing.threads.value_or(static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U)));
}

result<std::shared_ptr<shared_secret const>> load_secret(network_settings const& network) {
    if (network.secret_file.empty()) {
        return std::shared_ptr<shared_secret const>();
    }
    return shared_secret::load(network.secret_file);
}

node::node(settings in_force, std::string checkpoints, std::function<void()> on_activity)
    : m_settings(std::move(in_force))
    , m_secret(load_secret(m_settings.network))
    , m_checkpoints(std::move(checkpoints), [](std::string const& reason) { log_warning({}, reason); })
    , m_backend(
          std::make_shared<backend>(m_settings.memory.pool, hash_threads(m_settings), to_backend_options(m_settings)))
    , m_swarm(m_main, m_backend, m_settings.network, queued_bytes(m_settings), std::move(on_activity))
    , m_reports(
          m_main, [this] { return m_settings.network.listen; }, {}, m_secret.value_or(nullptr))
    , m_signals(m_main)
    , m_stop_timer(m_main)
    , m_clock(m_main) {
    // A write to a peer or journal that has gone away then returns an error. Cannot fail: the number is valid.
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
}

node::~node() = default;

void node::apply_memory() {
    m_backend->resize(m_settings.memory.pool, m_settings.memory.cache);
    m_swarm.set_queued_bytes(queued_bytes(m_settings));
}

void node::apply_hashing() {
    m_backend->hash_workers().set_threads(hash_threads(m_settings));
}

void node::apply_checkpoint_folder() {
    m_checkpoints.set_folder(state_folder(m_settings.resume.folder));
}

image_services node::services(std::function<void()> on_change) {
    image_services shared{m_main,
                          m_setup,
                          m_backend,
                          m_swarm,
                          [this]() -> settings const& { return m_settings; },
                          std::move(on_change),
                          m_checkpoints,
                          &m_reports};
    shared.secret = m_secret.value_or(nullptr);
    return shared;
}

void node::wait_for_signals(std::function<void(int)> handler) {
    m_on_signal = std::move(handler);
    m_signals.async_wait([this](boost::system::error_code const& ec, int signal) {
        if (!ec && !m_ended) {
            wait_for_signals(m_on_signal);
            m_on_signal(signal);
        }
    });
}

void node::run() {
    release_termination_signals();
    m_clock.start();
    m_main.run();
}

void node::begin_stop() {
    m_stop_timer.expires_after(stop_patience);
    m_stop_timer.async_wait([](boost::system::error_code const& ec) {
        if (!ec) {
            log_warning({}, "flushing the written data takes more than 5 s; waiting for the devices");
        }
    });
}

void node::shut_down(std::function<void()> done) {
    m_swarm.shut_down(m_setup, [this, done = std::move(done)] {
        m_ended = true;
        m_stop_timer.cancel();
        m_signals.cancel();
        m_clock.stop();
        done();
    });
}

} // namespace seedbed
