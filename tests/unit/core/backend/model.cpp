// disk_io against a model: random operations, holds, faults and numbers of threads.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/error.hpp>
#include <catch2/catch.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/torrent_info.hpp>

#include "backend_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

struct run_plan {
    std::uint32_t seed = 1;
    int operations = 4000;
    bool faults = false;
    bool writes_only = false; ///< no reads and hashes, so that no two accesses of the device may overlap
    bool ring = false;        ///< io_uring in place of threads
    enum class ending : std::uint8_t { drain, abort, abort_and_wait } end = ending::drain;
};

/// The past and possible contents of a block: all writes of it since the model last knew its content.
struct block_model {
    enum class state : std::uint8_t { pending, good, failed };
    struct version {
        int sequence = 0;
        bytes data;
        state how = state::pending;
    };
    bool may_fail = false;       ///< writes of the device may
    std::list<version> versions; ///< in the order of posting; the first one is the content before all others

    /// Whether a read of byte \p at + i that was posted at \p sequence and ends now may return data[i]: the content of
    /// the last successful write before it, of a failed one after that (which may have succeeded in part), or of any
    /// that was posted during the read. Writes after the first \p fence after the read do not count.
    [[nodiscard]] bool may_read(int sequence, int fence, std::size_t at, std::span<std::byte const> data) const {
        std::vector<bytes const*> allowed;
        bool decided = false;
        for (auto latest = versions.rbegin(); latest != versions.rend(); ++latest) {
            auto const& each = *latest;
            bool const before = each.sequence < sequence;
            if (each.sequence < fence && (!before || !decided)) {
                allowed.push_back(&each.data);
            }
            decided = decided || (before && settled(each));
        }
        for (std::size_t i = 0; i < data.size(); ++i) {
            if (std::ranges::none_of(allowed, [&](bytes const* from) { return (*from)[at + i] == data[i]; })) {
                return false;
            }
        }
        return true;
    }
    /// The only content that a read posted at \p sequence may return, if there is only one.
    [[nodiscard]] bytes const* certain(int sequence, int fence) const {
        bytes const* found = nullptr;
        for (auto const& each : versions) {
            if (!settled(each) || (each.sequence > sequence && each.sequence < fence)) {
                return nullptr;
            }
            found = each.sequence < sequence ? &each.data : found;
        }
        return found;
    }
    /// Whether later operations see this write. A write in flight may have failed already, without notice.
    [[nodiscard]] bool settled(version const& which) const {
        return which.how == state::good || (which.how == state::pending && !may_fail);
    }
    void settle(bytes content) {
        versions.clear();
        versions.push_back({-1, std::move(content), state::good});
    }
};

/// One image in one session, with the model of both.
class modelled_storage {
public:
    modelled_storage(test_image& on, test_session& in)
        : image(on)
        , session(in)
        , storage(session.add(image)) {
        for (int piece = 0; piece < image.pieces(); ++piece) {
            for (int start = 0; start < image.piece_size(piece); start += block_size) {
                m_blocks[{piece, start}].settle(
                    image.stream(image.storage->stream_offset(piece_index{piece}, start), block_length(piece, start)));
            }
        }
    }

    [[nodiscard]] int block_length(int piece, int start) const {
        return std::min(block_size, image.piece_size(piece) - start);
    }

    /// Records that an operation was posted; call it with the session's result.
    void posted(outcome_ptr const& what, bool fence, std::function<void(outcome&, int)> check) {
        int const sequence = m_sequence++;
        m_pending.insert(sequence);
        if (fence) {
            m_fences.insert(sequence);
            m_all_fences.insert(sequence);
        }
        what->then = [this, sequence, fence, check = std::move(check)](outcome& got) {
            ended(sequence, fence);
            check(got, sequence);
        };
    }

    void write(int piece, int start, std::uint32_t seed) {
        auto const offset = image.storage->stream_offset(piece_index{piece}, start);
        auto const data =
            without_padding(image, offset, pattern(static_cast<std::size_t>(block_length(piece, start)), seed));
        auto& versions = m_blocks.at({piece, start}).versions;
        auto const version = versions.insert(versions.end(), {m_sequence, data, block_model::state::pending});
        posted(session.write(storage, piece, start, data), false, [this, version](outcome& got, int) {
            version->how = got.error ? block_model::state::failed : block_model::state::good;
            expect(got, faults, "write");
        });
    }

    void read(int piece, int start, int length) {
        int const stops = m_stops;
        posted(session.read(storage, piece, start, length), false, [=, this](outcome& got, int sequence) {
            // A read that waits for memory is dropped once the torrent is stopped.
            if (!expect(got, faults || aborting || stops != m_stops, "read")) {
                return;
            }
            fail_unless(static_cast<int>(got.data.size()) == length, "a read of the wrong length");
            auto rest = std::span<std::byte const>(got.data);
            for (int at = start; !rest.empty();) {
                int const block = at / block_size * block_size;
                auto const in_block = static_cast<std::size_t>(at - block);
                auto const part =
                    rest.first(std::min(rest.size(), static_cast<std::size_t>(block_length(piece, block)) - in_block));
                fail_unless(m_blocks.at({piece, block}).may_read(sequence, fence_behind(sequence), in_block, part),
                            "a read of wrong bytes");
                rest = rest.subspan(part.size());
                at += static_cast<int>(part.size());
            }
            got.data = {};
        });
    }

    void hash(int piece, bool check_flag) {
        auto flags = lt::disk_interface::v1_hash;
        if (check_flag) {
            flags |= lt::disk_interface::volatile_read;
        }
        int const stops = m_stops;
        auto const v2 = image.storage->torrent().info->info_hashes().has_v2();
        int const blocks = v2 ? files().blocks_in_piece2(lt::piece_index_t{piece}) : 0;
        posted(session.hash(storage, piece, flags, blocks), false, [=, this](outcome& got, int sequence) {
            if (!expect(got, faults || aborting || (check_flag && stops != m_stops), "hash")) {
                return;
            }
            if (auto const content = certain_piece(piece, sequence)) {
                fail_unless(got.sha1 == sha1_of(*content), "a wrong SHA-1");
                for (int i = 0; i < blocks; ++i) {
                    fail_unless(got.block_hashes[static_cast<std::size_t>(i)] == block_hash(piece, i, *content),
                                "a wrong block hash");
                }
                ++checked_hashes;
            }
        });
    }

    void hash2(int piece, int block) {
        posted(session.hash2(storage, piece, block * block_size), false, [=, this](outcome& got, int sequence) {
            if (!expect(got, faults || aborting, "hash2")) {
                return;
            }
            if (auto const content = certain_piece(piece, sequence)) {
                fail_unless(got.sha256 == block_hash(piece, block, *content), "a wrong SHA-256");
            }
        });
    }

    void fence(unsigned which) {
        auto const nothing = [](outcome&, int) {};
        switch (which % 7) {
        case 0:
            ++m_stops;
            posted(session.stop(storage), true, nothing);
            break;
        case 1:
            posted(session.release(storage), true, nothing);
            break;
        case 2:
            posted(session.check(storage), true, nothing);
            break;
        case 3:
            posted(session.clear(storage, 0), true, nothing);
            break;
        case 4:
            posted(session.priorities(storage), true, nothing);
            break;
        case 5:
            posted(session.rename(storage, 0, "name"), true, nothing);
            break;
        default:
            posted(session.move(storage, "path"), true, nothing);
        }
    }

    void bad_request() {
        auto const check = [this](outcome& got, int) { fail_unless(got.code() == EINVAL, "no EINVAL"); };
        posted(session.read(storage, image.pieces(), 0, 100), false, check);
        posted(session.bad_write(storage, 0, 1, block_size), false, check);
    }

    [[nodiscard]] lt::file_storage const& files() const { return image.storage->torrent().info->orig_files(); }

    /// Without outstanding jobs: the device must match the model, which then forgets the history.
    void compare_and_settle() {
        for (auto& [place, block] : m_blocks) {
            auto const [piece, start] = place;
            auto content =
                image.stream(image.storage->stream_offset(piece_index{piece}, start), block_length(piece, start));
            fail_unless(block.may_read(m_sequence, m_sequence, 0, content), "the device holds wrong bytes");
            block.settle(std::move(content));
        }
        m_all_fences.clear();
        fail_unless(m_pending.empty(), "an operation has not ended");
        eventually([this] { return !image.io().has_unwritten(); }); // the last handler runs just before
    }

    /// What is in memory must agree with the device, too.
    void read_all() {
        for (auto const& [place, block] : m_blocks) {
            read(place.first, place.second, block_length(place.first, place.second));
        }
    }

    /// From now on operations may fail.
    void expect_faults() {
        faults = true;
        for (auto& [place, block] : m_blocks) {
            block.may_fail = true;
        }
    }

    /// Removes the torrent, with all that is outstanding, as libtorrent does. Nothing is posted until add_again().
    void remove() {
        fence(0);
        storage.reset();
        removed = true;
    }
    /// Without outstanding jobs.
    void add_again() {
        if (std::exchange(removed, false)) {
            storage = session.add(image);
        }
    }

    test_image& image;
    test_session& session;
    lt::storage_holder storage;
    bool removed = false;
    bool faults = false;
    bool aborting = false;
    int checked_hashes = 0;
    std::string problem; ///< the first one

private:
    void fail_unless(bool ok, char const* what) {
        if (!ok && problem.empty()) {
            problem = what;
        }
    }
    /// \return false if the operation failed as permitted.
    bool expect(outcome const& got, bool may_fail, char const* what) {
        if (!got.error) {
            return true;
        }
        bool const known =
            got.code() == EIO || got.code() == ENOSPC || got.error.ec == boost::asio::error::operation_aborted;
        if (!may_fail || !known) {
            problem = std::string(what) + ": " + got.error.ec.message();
        }
        return false;
    }
    [[nodiscard]] int fence_behind(int sequence) const {
        auto const found = m_all_fences.upper_bound(sequence);
        return found == m_all_fences.end() ? std::numeric_limits<int>::max() : *found;
    }
    void ended(int sequence, bool fence) {
        fail_unless(m_pending.erase(sequence) == 1, "an operation ended twice");
        if (fence) {
            m_fences.erase(sequence);
            fail_unless(m_pending.empty() || *m_pending.begin() > sequence, "a fence overtook an earlier operation");
        }
        fail_unless(m_fences.empty() || *m_fences.begin() > sequence, "an operation overtook a fence");
    }
    [[nodiscard]] std::optional<bytes> certain_piece(int piece, int sequence) const {
        bytes joined;
        for (int start = 0; start < image.piece_size(piece); start += block_size) {
            auto const* const content = m_blocks.at({piece, start}).certain(sequence, fence_behind(sequence));
            if (content == nullptr) {
                return std::nullopt;
            }
            joined.insert(joined.end(), content->begin(), content->end());
        }
        return joined;
    }
    [[nodiscard]] lt::sha256_hash block_hash(int piece, int block, bytes const& content) const {
        int const size = files().piece_size2(lt::piece_index_t{piece});
        int const start = block * block_size;
        return sha256_of(std::span(content).subspan(static_cast<std::size_t>(start),
                                                    static_cast<std::size_t>(std::min(block_size, size - start))));
    }

    std::map<std::pair<int, int>, block_model> m_blocks; ///< by piece and offset
    int m_sequence = 0;
    int m_stops = 0;
    std::set<int> m_pending;
    std::set<int> m_fences;     ///< those that have not ended
    std::set<int> m_all_fences; ///< since the last comparison
};

/// Three images, two sessions, one random sequence.
class random_run {
public:
    explicit random_run(run_plan const& plan)
        : m_plan(plan)
        , m_random(plan.seed)
        , m_shared(std::int64_t{6 + pick(40)} * block_size, 2, random_options()) {
        auto other = test_image::awkward(3);
        other.seed = 2;
        other.piece_length = 48 * kib;
        for (auto const& each : {test_image::awkward(2), other, test_image::with_padding(torrent_kind::hybrid)}) {
            auto plan_of_one = each;
            plan_of_one.delay = random_profile().delay;
            plan_of_one.ring = plan.ring;
            m_shared.add(plan_of_one).served->set_profile(random_profile());
        }
        m_sessions.push_back(std::make_unique<test_session>(m_shared.shared));
        m_sessions.push_back(std::make_unique<test_session>(m_shared.shared));
        for (std::size_t i = 0; i < 3; ++i) {
            m_storages.push_back(std::make_unique<modelled_storage>(*m_shared.images[i], *m_sessions[i / 2]));
        }
    }

    void run() {
        for (int i = 0; i < m_plan.operations && healthy(); ++i) {
            post_one();
            disturb();
            if (pick(8) == 0) {
                std::ranges::for_each(m_sessions, [](auto const& session) { session->poll(); });
            }
            m_healthy_cache = m_healthy_cache && m_shared.shared->cache().invariant_holds();
            if (pick(400) == 0) {
                drain();
            }
            if (m_plan.faults && i == m_plan.operations / 2) {
                m_faulty = true;
                std::ranges::for_each(m_storages, [](auto const& each) { each->expect_faults(); });
            }
        }
        finish();
        drain();
        CHECK(m_healthy_cache);
        for (auto const& each : m_storages) {
            CHECK(each->problem == "");
            CHECK(gaps_untouched(each->image));
            if (m_plan.writes_only) {
                CHECK(each->image.device->overlaps() == 0);
            } else if (m_plan.end == run_plan::ending::drain) {
                // The model knows enough to check something; how much it does depends on when devices fail.
                CHECK(each->checked_hashes > (m_plan.faults ? 0 : 20));
            }
        }
        CHECK(m_shared.all_given_back());
    }

private:
    unsigned pick(unsigned below) { return static_cast<unsigned>(m_random()) % below; }
    [[nodiscard]] bool healthy() const {
        return std::ranges::all_of(m_storages, [](auto const& each) { return each->problem.empty(); });
    }

    backend_options random_options() {
        backend_options made;
        made.cache_stripes = 1 << pick(4);
        made.hashing.ahead = pick(2) == 0;
        if (pick(2) == 0) {
            made.cache_bytes = std::int64_t{pick(8)} * block_size;
        }
        return made;
    }
    io_profile random_profile() {
        io_profile made;
        made.io_engine = io_engine_kind::threads;
        made.threads = static_cast<int>(pick(4)) + 1;
        made.coalesce = std::int64_t{1 + pick(8)} * block_size;
        made.delay = std::chrono::milliseconds(pick(3));
        made.read_ahead = std::int64_t{1 + pick(5)} * block_size;
        made.elevator = pick(2) == 0;
        made.backlog_runs = made.elevator ? 4 : 1;
        return made;
    }

    void post_one() {
        auto& target = *m_storages[pick(3)];
        if (target.removed) {
            return;
        }
        int const piece = static_cast<int>(pick(static_cast<unsigned>(target.image.pieces())));
        int const size = target.image.piece_size(piece);
        int const start = static_cast<int>(pick(static_cast<unsigned>(size)));
        auto const what = m_plan.writes_only ? pick(55) : pick(100);
        if (what < 45) {
            // Few blocks, so that writes to the same block meet.
            int const block = pick(2) == 0 ? 0 : start / block_size * block_size;
            target.write(piece, block, static_cast<std::uint32_t>(m_random()));
        } else if (what < 53) {
            target.fence(pick(7));
        } else if (what < 55) {
            target.bad_request();
        } else if (what < 80) {
            target.read(piece, start, std::min({block_size, size - start, static_cast<int>(pick(block_size)) + 1}));
        } else if (what < 95) {
            target.hash(piece, pick(3) == 0);
            if (pick(2) == 0) {
                target.fence(1 + pick(6)); // so that later posts do not affect the hash
            }
        } else if (target.image.storage->torrent().info->info_hashes().has_v2()) {
            target.hash2(piece, static_cast<int>(pick(
                                    static_cast<unsigned>(target.files().blocks_in_piece2(lt::piece_index_t{piece})))));
        }
    }

    /// Holds, releases, changes settings, removes a torrent, breaks a disk.
    void disturb() {
        auto const which = pick(3);
        switch (pick(25)) {
        case 0:
            if (m_holds.emplace(std::pair{which, 0U}, nullptr).second) {
                hold(which, operation::write, 0);
            }
            break;
        case 1:
            if (m_holds.emplace(std::pair{which, 1U}, nullptr).second) {
                hold(which, operation::read, 1);
            }
            break;
        case 2:
        case 3:
        case 4:
            if (!m_holds.empty()) {
                m_holds.erase(
                    std::next(m_holds.begin(), static_cast<long>(pick(static_cast<unsigned>(m_holds.size())))));
            }
            break;
        case 5:
            m_shared.images[which]->served->set_profile(random_profile());
            break;
        case 7:
            m_shared.shared->resize(std::int64_t{6 + pick(40)} * block_size, random_options().cache_bytes);
            break;
        case 8:
            m_shared.shared->expedite();
            break;
        case 9:
            if (pick(8) == 0 && !m_storages[which]->removed) {
                m_storages[which]->remove();
            }
            break;
        case 10:
        case 11:
            break_disk(*m_shared.images[which]->device);
            break;
        case 6:
            m_shared.shared->hash_workers().set_threads(static_cast<int>(pick(3)) + 1);
            break;
        default:
            break;
        }
    }
    void hold(unsigned which, operation op, unsigned slot) {
        m_holds[{which, slot}] =
            std::make_unique<fake_block_device::held_operations>(m_shared.images[which]->device->hold(op));
    }

    /// Some reads or writes of a part of the device will fail; or all is well again.
    void break_disk(fake_block_device& device) {
        if (!m_faulty) {
            return;
        }
        auto const offset = std::int64_t{pick(300)} * kib;
        auto const length = std::int64_t{1 + pick(64)} * kib;
        auto const times = static_cast<int>(1 + pick(3));
        switch (pick(6)) {
        case 0:
            device.fail(operation::read, EIO, offset, length, times);
            break;
        case 1:
            device.fail(operation::write, EIO, offset, length, times);
            break;
        case 2:
            device.fail(operation::write, ENOSPC, offset, length, times);
            break;
        case 3:
            device.fail_half_way(EIO, offset, length, times);
            break;
        default:
            device.clear_faults();
        }
    }

    void finish() {
        if (m_plan.end == run_plan::ending::drain) {
            return;
        }
        for (auto const& each : m_storages) {
            each->aborting = true;
        }
        for (auto const& session : m_sessions) {
            if (m_plan.end == run_plan::ending::abort) {
                session->io->abort(false);
                continue;
            }
            m_holds.clear();
            session->io->abort(true);
        }
    }

    void drain() {
        m_holds.clear();
        for (auto const& session : m_sessions) {
            session->run_all();
            CHECK(session->all_ended_well());
            session->forget_ended();
        }
        for (auto const& each : m_storages) {
            each->compare_and_settle();
            each->add_again();
            each->read_all();
        }
        for (auto const& session : m_sessions) {
            session->run_all();
            session->forget_ended();
        }
    }

    bool m_healthy_cache = true; ///< its tables agree after every step
    bool m_faulty = false;       ///< disks break
    run_plan const m_plan;
    std::mt19937 m_random;
    test_backend m_shared;
    std::vector<std::unique_ptr<test_session>> m_sessions;
    std::vector<std::unique_ptr<modelled_storage>> m_storages;
    /// By image and slot. Last: released before the sessions wait for their workers.
    std::map<std::pair<unsigned, unsigned>, std::unique_ptr<fake_block_device::held_operations>> m_holds;
};

/// The seeds of a run: only SEEDBED_TEST_SEED, if it is set; otherwise SEEDBED_TEST_SEEDS of them, or 8.
std::vector<std::uint32_t> seeds() {
    if (auto const* const one = std::getenv("SEEDBED_TEST_SEED"); one != nullptr) {
        return {static_cast<std::uint32_t>(std::stoul(one))};
    }
    auto const* const wanted = std::getenv("SEEDBED_TEST_SEEDS");
    std::vector<std::uint32_t> all(wanted != nullptr ? std::stoul(wanted) : 8);
    std::iota(all.begin(), all.end(), 1U);
    return all;
}

void run_all_seeds(run_plan plan) {
    for (auto const seed : seeds()) {
        CAPTURE(seed);
        plan.seed = seed;
        random_run(plan).run();
    }
}

} // namespace

TEST_CASE("random operations agree with the model") {
    run_all_seeds({});
}

TEST_CASE("random operations through io_uring agree with the model, also with failing devices") {
    disk_io_test probe([] {
        auto plan = test_image::awkward();
        plan.ring = true;
        return plan;
    }());
    if (std::string(probe.image.io().engine()) != "io_uring") {
        WARN("SKIPPED: no io_uring here, errno " << probe.image.io().ring_refused());
        return;
    }
    run_all_seeds({.faults = GENERATE(false, true), .ring = true});
}

TEST_CASE("random writes and fences never overlap on the device") {
    run_all_seeds({.writes_only = true});
}

TEST_CASE("random operations with failing devices") {
    run_all_seeds({.faults = true});
}

TEST_CASE("random operations that end in an abort") {
    run_all_seeds({.operations = 1000, .end = GENERATE(run_plan::ending::abort, run_plan::ending::abort_and_wait)});
}
