#include "daemon/agent/after_hooks.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "core/foundation/find_program.hpp"
#include "core/layout/program_run.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

/// A program whose time is up gets SIGTERM, and SIGKILL this many seconds later.
constexpr char const* seconds_to_kill = "5";
/// The status of timeout(1) for a program whose time was up, and that of one that had to be killed.
constexpr int status_timed_out = 124;
constexpr int status_killed = 128 + 9;

std::string failure_text(std::string const& name, program_end const& end, std::chrono::seconds limit) {
    if (end.status == status_timed_out || end.status == status_killed) {
        return name + ": did not end within " + std::to_string(limit.count()) + " s";
    }
    return name + ": exit status " + std::to_string(end.status) + (end.last_line.empty() ? "" : ": " + end.last_line);
}

} // namespace

result<std::vector<fs::path>> list_hooks(fs::path const& folder) {
    std::vector<fs::path> hooks;
    std::error_code failed;
    for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
        auto const name = at->path().filename().string();
        std::error_code ignored; // a file that has vanished is not a hook
        if (!name.starts_with('.') && !name.ends_with('~') && fs::is_regular_file(at->path(), ignored) &&
            ::access(at->path().c_str(), X_OK) == 0) {
            hooks.push_back(at->path());
        }
    }
    if (failed) {
        return tl::unexpected(errno_error(folder.string(), failed.value()));
    }
    std::ranges::sort(hooks);
    return hooks;
}

result<void> check_can_run_hooks() {
    for (auto const* const name : {"env", "timeout"}) {
        if (find_program(name).empty()) {
            return tl::unexpected(error{std::string(name) + " (package coreutils) is not installed"});
        }
    }
    return {};
}

result<void> run_hooks(std::vector<fs::path> const& hooks, std::vector<std::string> const& environment,
                       std::chrono::seconds limit, std::function<void(std::string const&)> const& begin) {
    for (auto const& hook : hooks) {
        auto const name = hook.filename().string();
        begin(name);
        auto arguments = environment;
        for (auto const& word : {find_program("timeout"), std::string("-k"), std::string(seconds_to_kill),
                                 std::to_string(limit.count()), hook.string()}) {
            arguments.push_back(word);
        }
        auto const ended = run_to_end(find_program("env"), arguments);
        if (!ended) {
            return tl::unexpected(error{name + ": " + ended.error().message});
        }
        if (ended->status != 0) {
            return tl::unexpected(error{failure_text(name, *ended, limit)});
        }
    }
    return {};
}

} // namespace seedbed
