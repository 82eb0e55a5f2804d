// Deployments through the real engine and the real checkpoints, ended at random moments by power cuts, SIGKILL and
// stops.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <libtorrent/disk_interface.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/storage_defs.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/foundation/block_size.hpp"
#include "core/foundation/save_file.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/sha1.hpp"
#include "daemon/image/checkpoint_store.hpp"
#include "daemon/image/image_runner.hpp"
#include "daemon/image/status_line.hpp"
#include "daemon/log/logging.hpp"
#include "fake_swarm.hpp"
#include "support/device_bytes.hpp"
#include "support/power_cut_disk.hpp"
#include "support/temp_dir.hpp"

namespace seedbed::test {

namespace lt = libtorrent;
using namespace std::chrono_literals;
using loss = power_cut_disk::loss;

/// A vector's == compares byte by byte.
inline bool equal_bytes(std::span<std::byte const> a, std::span<std::byte const> b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

/// What a rig deploys.
struct cut_image {
    using visitor = std::function<void(std::int64_t offset, std::span<std::byte const> bytes)>;

    std::string name;
    std::string torrent;           ///< the bytes of the .torrent
    std::int32_t piece_length = 0; ///< bytes
    std::vector<std::byte> stream; ///< the torrent's bytes
    std::int64_t device_size = 0;  ///< bytes
    device_ends ends;              ///< written last
    /// Visits the bytes of a piece with their positions on the device.
    std::function<void(int piece, visitor const&)> visit;

    [[nodiscard]] int pieces() const {
        return static_cast<int>((std::ssize(stream) + piece_length - 1) / piece_length);
    }
    [[nodiscard]] std::span<std::byte const> piece(int index) const {
        auto const rest =
            std::span(stream).subspan(static_cast<std::size_t>(index) * static_cast<std::size_t>(piece_length));
        return rest.first(std::min(static_cast<std::size_t>(piece_length), rest.size()));
    }
    [[nodiscard]] sha1_digest hash(int index) const {
        sha1_sum sum;
        sum.update(piece(index));
        return sum.final();
    }
    void put_all(std::vector<std::byte>& device) const {
        for (int index = 0; index < pieces(); ++index) {
            visit(index, [&device](std::int64_t offset, std::span<std::byte const> bytes) {
                std::ranges::copy(bytes, device.begin() + offset);
            });
        }
    }
    /// Whether every byte of a piece is on \p device.
    [[nodiscard]] bool is_on(std::vector<std::byte> const& device, int index) const {
        bool on = true;
        visit(index, [&](std::int64_t offset, std::span<std::byte const> bytes) {
            on = on && equal_bytes(std::span(device).subspan(static_cast<std::size_t>(offset), bytes.size()), bytes);
        });
        return on;
    }
};

/// libtorrent's part in a deployment: it writes missing pieces, block by block, to a disk_interface, and has a piece
/// when all its writes have ended and its hash matches.
///
/// Threads: confined to the one that runs the io_context.
class downloader {
public:
    downloader(cut_image const& image, lt::disk_interface& io, info_hash const& key,
               std::optional<std::vector<bool>> claimed, std::mt19937& random)
        : m_image(image)
        , m_io(io)
        , m_random(random)
        , m_have(claimed.value_or(std::vector<bool>(static_cast<std::size_t>(image.pieces()), false)))
        , m_blocks(m_have.size()) {
        static lt::file_storage const files;
        static std::string const path;
        static lt::aux::vector<lt::download_priority_t, lt::file_index_t> const priorities;
        m_storage = io.new_torrent(
            {files, nullptr, path, lt::storage_mode_sparse, priorities, lt::sha1_hash(key.bytes().data())}, nullptr);
        if (!claimed) {
            for (int piece = 0; piece < image.pieces(); ++piece) {
                hash(piece);
            }
        }
        m_checking = !claimed;
    }

    [[nodiscard]] std::vector<bool> const& have() const { return m_have; }
    [[nodiscard]] bool complete() const { return std::ranges::find(m_have, false) == m_have.end(); }
    [[nodiscard]] bool checked() const { return !m_checking || m_outstanding == 0; }
    [[nodiscard]] bool idle() const { return m_outstanding == 0; }
    [[nodiscard]] int wrong_hashes() const { return m_wrong; }

    /// Posts a few writes of a few pieces. \return whether any were posted.
    bool post_some() {
        m_checking = false;
        for (auto count = 1 + m_random() % 4; count > 0; --count) {
            auto const piece = pick_piece();
            if (piece < 0) {
                return false;
            }
            write(piece, m_blocks[static_cast<std::size_t>(piece)].posted++);
        }
        return true;
    }
    /// What libtorrent does before it drops a torrent: all writes leave now.
    void stop() {
        m_stopping = true;
        ++m_outstanding;
        m_io.async_stop_torrent(m_storage, [this] { --m_outstanding; });
        m_io.submit_jobs();
    }

private:
    struct progress {
        int posted = 0;
        int written = 0;
    };

    [[nodiscard]] int blocks_of(int piece) const {
        return static_cast<int>((m_image.piece(piece).size() + block_size - 1) / block_size);
    }
    /// One of the first three that lack a write; -1 if none does.
    [[nodiscard]] int pick_piece() {
        std::vector<int> found;
        for (int piece = 0; piece < m_image.pieces() && found.size() < 3 && !m_stopping; ++piece) {
            auto const at = static_cast<std::size_t>(piece);
            if (!m_have[at] && m_blocks[at].posted < blocks_of(piece)) {
                found.push_back(piece);
            }
        }
        return found.empty() ? -1 : found[m_random() % found.size()];
    }
    void write(int piece, int block) {
        auto const rest = m_image.piece(piece).subspan(static_cast<std::size_t>(block) * block_size);
        auto const part = rest.first(std::min<std::size_t>(block_size, rest.size()));
        ++m_outstanding;
        m_io.async_write(m_storage, {lt::piece_index_t{piece}, block * block_size, static_cast<int>(part.size())},
                         reinterpret_cast<char const*>(part.data()), {}, [this, piece](lt::storage_error const& error) {
                             --m_outstanding;
                             auto& mine = m_blocks[static_cast<std::size_t>(piece)];
                             if (!error && ++mine.written == blocks_of(piece) && !m_stopping) {
                                 hash(piece);
                             }
                         });
    }
    void hash(int piece) {
        ++m_outstanding;
        m_io.async_hash(m_storage, lt::piece_index_t{piece}, {}, lt::disk_interface::v1_hash,
                        [this, piece, checks = m_checking](lt::piece_index_t, lt::sha1_hash const& digest,
                                                           lt::storage_error const& error) {
                            --m_outstanding;
                            auto const wanted = m_image.hash(piece);
                            auto const same =
                                std::equal(wanted.begin(), wanted.end(), digest.begin(),
                                           [](auto a, auto b) { return std::uint8_t(a) == std::uint8_t(b); });
                            if (!error && same) {
                                m_have[static_cast<std::size_t>(piece)] = true;
                            } else if (!error && !checks) {
                                ++m_wrong;
                            }
                        });
    }

    cut_image const& m_image;
    lt::disk_interface& m_io;
    std::mt19937& m_random;
    std::vector<bool> m_have;
    std::vector<progress> m_blocks; ///< by piece
    lt::storage_holder m_storage;
    int m_outstanding = 0;
    int m_wrong = 0;
    bool m_checking = true;
    bool m_stopping = false;
};

/// Deployments to one disk, each in several lives.
///
/// Threads: one, which runs the main io_context.
class cut_rig {
public:
    cut_rig(cut_image of, std::uint32_t seed)
        : image(std::move(of))
        , m_random(seed) {
        m_wanted.name = image.name;
        m_wanted.mode = image_mode::deploy;
        m_wanted.torrent = (m_folder / "image.torrent").string();
        m_wanted.device = (m_folder / "device").string();
        m_wanted.profile = storage_class::nvme;
        m_wanted.wipe_signatures = false;
        REQUIRE(save_file(m_wanted.torrent, image.torrent, false));
        REQUIRE(save_file(m_wanted.device, "", false)); // for its identity
        std::filesystem::resize_file(m_wanted.device, static_cast<std::uintmax_t>(image.device_size));
        m_in_force.resume.interval = 1h; // this test asks for checkpoints
        m_swarm.removes_by_itself = false;
        start_logging(log_level::info, [this](log_level, std::string_view said) {
            std::scoped_lock const lock(m_log_mutex);
            m_log.emplace_back(said);
        });
    }
    cut_rig(cut_rig const&) = delete;
    cut_rig& operator=(cut_rig const&) = delete;
    virtual ~cut_rig() { start_logging(log_level::info); }

    /// Deploys the image to a disk that holds something else, however many lives it takes.
    void deploy() {
        auto const before = content_before();
        m_disk = std::make_unique<power_cut_disk>(before, static_cast<std::uint32_t>(m_random()));
        m_store.remove(m_wanted.device);
        while (!live()) {
            check_claims();
        }
        m_disk->end_now(loss::everything);
        check_claims();
        auto const medium = m_disk->medium();
        check_done(before, medium);
        damaged_writes += m_disk->damaged_writes();
    }

    cut_image const image;
    int cuts = 0;
    int claims = 0;         ///< pieces that checkpoints claimed after the ends of lives
    int damaged_writes = 0; ///< writes that were lost or torn
    int resumed = 0;        ///< pieces that lives did not write again

protected:
    unsigned pick(unsigned below) { return static_cast<unsigned>(m_random()) % below; }
    std::uint32_t any() { return static_cast<std::uint32_t>(m_random()); }
    [[nodiscard]] std::string const& device_path() const { return m_wanted.device; }

    /// The disk before a deployment.
    virtual std::vector<std::byte> content_before() {
        return pattern(static_cast<std::size_t>(image.device_size), any());
    }
    /// The steps of the next life.
    virtual int choose_steps() { return static_cast<int>(1 + pick(pick(2) == 0 ? 20 : 90)); }
    /// Called before a life.
    virtual void begin_life(power_cut_disk const&) {}
    /// Called again and again in a life that has not ended.
    virtual void during_life(power_cut_disk&, image_state) {}
    /// Called after a life. \param last the image's state in it.
    virtual void end_life(power_cut_disk const&, image_state) {}
    /// Whether the device of the next life is what the checkpoint describes, or may have been written to since.
    [[nodiscard]] virtual bool trusts_checkpoints() const { return true; }
    /// After a deployment.
    virtual void check_done(std::vector<std::byte> const& before, std::vector<std::byte> const& medium) {
        auto expected = before;
        image.put_all(expected);
        CHECK(equal_bytes(medium, expected));
    }
    [[nodiscard]] std::string log() const {
        std::scoped_lock const lock(m_log_mutex);
        return std::accumulate(m_log.begin(), m_log.end(), std::string(),
                               [](std::string const& all, std::string const& line) { return all + "\n  " + line; });
    }

private:
    image_services services() {
        image_services given{m_main, m_setup, m_shared, m_swarm, [this]() -> settings const& { return m_in_force; },
                             [] {},  m_store};
        given.open_device = [this](std::string const& path, device_requirements const&) {
            return result<std::unique_ptr<block_device>, device_refusal>(m_disk->open(path));
        };
        given.ends = image.ends;
        return given;
    }

    void choose_profile() {
        for (auto& profile : m_in_force.profiles) {
            profile.direct_io = direct_io_mode::off;
            profile.io_engine = io_engine_kind::threads;
            profile.threads = static_cast<int>(1 + pick(3));
            profile.coalesce = std::int64_t{1 + pick(4)} * block_size;
            profile.delay = std::chrono::milliseconds(pick(2));
            profile.elevator = pick(4) == 0;
        }
    }

    /// From the start of the program to its end. \return whether the deployment is done.
    bool live() {
        choose_profile();
        m_log.clear();
        auto const how = static_cast<loss>(pick(static_cast<unsigned>(power_cut_disk::last_loss) + 1));
        begin_life(*m_disk);
        m_disk->power_on(choose_steps(), how, [this] {
            // Whatever the program saves or removes from now on, it would not have.
            m_store.set_folder((m_folder / "lost").string());
        });
        auto const stops_at = pick(6) == 0 ? static_cast<int>(pick(40)) : -1;
        auto const before = find_claims();
        m_job = std::make_shared<image_runner>(m_wanted, services());
        m_job->start();
        bool done = false;
        auto last = image_state::opening;
        bool closing = false;
        bool closed = false;
        auto const end = std::chrono::steady_clock::now() + 60s;
        for (int turn = 0; !closed; ++turn) {
            drive(before);
            if (!closing && !m_disk->ended()) {
                last = m_job->state();
                during_life(*m_disk, last);
            }
            done = done || (m_job->state() == image_state::seeding && !m_disk->ended());
            if (!closing && (done || m_disk->ended() || (stops_at >= 0 && turn >= stops_at))) {
                closing = true;
                m_job->close([&closed] { closed = true; });
            }
            auto const failed = m_job->state() == image_state::failed && !m_disk->ended();
            if (failed || std::chrono::steady_clock::now() > end) {
                FAIL((failed ? "failed on a good disk: " : "does not end: ") << status_line(m_job->status()) << log());
            }
        }
        cuts += m_disk->ended() && how != loss::by_kill ? 1 : 0;
        m_disk->end_now(static_cast<loss>(pick(static_cast<unsigned>(power_cut_disk::last_loss)))); // after a stop
        m_job.reset();
        m_store.set_folder((m_folder / "state").string());
        end_life(*m_disk, last);
        return done;
    }

    /// Runs what is ready, and plays the swarm's part.
    void drive(std::vector<bool> const& before) {
        if (m_main.poll() == 0 && !std::exchange(m_posted, false)) {
            m_main.run_one_for(1ms);
        }
        m_main.restart();
        if (!m_swarm.has_torrent()) {
            return;
        }
        if (!m_client) {
            join(before);
        }
        if (m_swarm.count("remove") > 0) {
            leave();
            return;
        }
        m_swarm.pieces = m_client->have();
        switch (m_job->state()) {
        case image_state::checking:
            if (m_client->checked() && !std::exchange(m_told_checked, true)) {
                m_swarm.progress.current = torrent_progress::phase::downloading;
                m_swarm.listener().on_checked();
            }
            break;
        case image_state::downloading:
            download();
            break;
        default:
            break;
        }
    }
    void join(std::vector<bool> const& before) {
        auto const& spec = m_swarm.spec;
        auto const complete = spec.hash_before_serving;
        // A true checkpoint is not given up, and nothing is believed without one. On a dead disk, nothing can be read.
        auto const believed =
            complete ? std::vector<bool>(before.size(), true) : spec.pieces.value_or(std::vector<bool>());
        CHECK((believed == before || before.empty() || m_disk->ended() || !trusts_checkpoints()));
        auto const contents = m_disk->contents();
        for (int piece = 0; before.empty() && piece < static_cast<int>(believed.size()); ++piece) {
            // The check has found it. The bytes that are held back are no longer on the disk.
            CHECK((!believed[static_cast<std::size_t>(piece)] || ends_hold(piece) || image.is_on(contents, piece)));
        }
        m_client = std::make_unique<downloader>(image, *m_io, m_swarm.key,
                                                complete ? std::optional(before) : spec.pieces, m_random);
        resumed += static_cast<int>(std::ranges::count(before, true));
        m_told_checked = false;
    }
    void download() {
        if (m_client->complete()) {
            m_swarm.listener().on_complete();
            return;
        }
        m_posted = m_client->post_some();
        if (pick(4) == 0) {
            m_swarm.listener().on_pieces(m_client->have()); // as at an interval: a checkpoint
        }
    }
    void leave() {
        if (!std::exchange(m_left, true)) {
            m_client->stop();
        }
        if (m_client->idle()) {
            CHECK(m_client->wrong_hashes() == 0);
            m_swarm.pieces = m_client->have();
            m_client.reset();
            m_left = false;
            m_swarm.calls.clear();
            m_swarm.progress = {};
            m_swarm.finish_removal();
        }
    }

    [[nodiscard]] bool ends_hold(int piece) const {
        std::vector<bool> others(static_cast<std::size_t>(image.pieces()), true);
        m_shared->find_image(m_swarm.key)->remove_ends(others);
        return !others[static_cast<std::size_t>(piece)];
    }
    [[nodiscard]] std::vector<bool> find_claims() {
        auto const found = m_store.load(m_wanted.device);
        REQUIRE(found); // a file is whole, or absent
        return *found ? (*found)->pieces : std::vector<bool>();
    }
    /// Every piece that the checkpoint claims must be on the medium.
    void check_claims() {
        auto const claimed = find_claims();
        auto const medium = m_disk->medium();
        for (int piece = 0; piece < static_cast<int>(claimed.size()); ++piece) {
            if (claimed[static_cast<std::size_t>(piece)]) {
                ++claims;
                INFO("piece " << piece << " is claimed, and is not on the disk" << log());
                CHECK(image.is_on(medium, piece));
            }
        }
    }

    /// In memory if possible: a checkpoint is flushed, file and folder.
    temp_dir const m_folder{std::filesystem::is_directory("/dev/shm") ? "/dev/shm"
                                                                      : std::filesystem::temp_directory_path()};
    std::mt19937 m_random;
    settings m_in_force;
    image_settings m_wanted;
    mutable std::mutex m_log_mutex; ///< guards the next
    std::vector<std::string> m_log; ///< of the current life
    std::unique_ptr<power_cut_disk> m_disk;
    boost::asio::io_context m_main{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> m_work{m_main.get_executor()};
    fake_swarm m_swarm{m_main};
    checkpoint_store m_store{(m_folder / "state").string(), [](std::string const&) {}};
    std::shared_ptr<backend> m_shared = std::make_shared<backend>(4 << 20, 2);
    worker_pool m_setup{"setup", 2};
    lt::settings_pack m_settings = lt::default_settings();
    lt::counters m_counters;
    std::unique_ptr<lt::disk_interface> m_io = make_disk_io(m_shared, m_main, m_settings, m_counters);
    std::unique_ptr<downloader> m_client;
    bool m_told_checked = false;
    bool m_posted = false; ///< the next step need not wait for an event
    bool m_left = false;
    std::shared_ptr<image_runner> m_job;
};

/// The seeds of a run: only SEEDBED_TEST_SEED, if it is set; otherwise SEEDBED_TEST_SEEDS of them, or \p usual.
inline std::vector<std::uint32_t> seeds(std::size_t usual = 8) {
    if (auto const* const one = std::getenv("SEEDBED_TEST_SEED"); one != nullptr) {
        return {static_cast<std::uint32_t>(std::stoul(one))};
    }
    auto const* const wanted = std::getenv("SEEDBED_TEST_SEEDS");
    std::vector<std::uint32_t> all(wanted != nullptr ? std::stoul(wanted) : usual);
    std::iota(all.begin(), all.end(), 1U);
    return all;
}

/// The power cuts with one seed: SEEDBED_TEST_CUTS of them, or \p usual.
inline int cuts(int usual) {
    auto const* const wanted = std::getenv("SEEDBED_TEST_CUTS");
    return wanted != nullptr ? std::stoi(wanted) : usual;
}

} // namespace seedbed::test
