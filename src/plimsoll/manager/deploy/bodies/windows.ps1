$Transcribing = $false
$Work = $null

# Every end of this script: the reason, what there is of it, what to do; the codes are in the manual.
function Stop-Deployment([int]$Code, [string[]]$Lines) {
    foreach ($line in $Lines) {
        if ($line) { Write-Line $line }
    }
    if ($script:Work -and (Test-Path -LiteralPath $script:Work)) {
        Remove-Item -LiteralPath $script:Work -Recurse -Force -ErrorAction SilentlyContinue
    }
    if ($script:Transcribing) {
        Stop-Transcript | Out-Null
    }
    exit $Code
}

function Start-Log {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object -TypeName Security.Principal.WindowsPrincipal -ArgumentList $identity
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Stop-Deployment 10 @('This script installs software and must run as an administrator; nothing was done.')
    }
    $script:Logs = Join-Path -Path $env:APPDATA -ChildPath 'Plimsoll\installer'
    New-Item -Path $script:Logs -ItemType Directory -Force | Out-Null
    try {
        Start-Transcript -Path (Join-Path -Path $script:Logs -ChildPath 'dsa_deploy.log') -Append | Out-Null
        $script:Transcribing = $true
    } catch {
        Write-Line "There is no transcript here: $($_.Exception.Message)"
    }
    $script:Work = Join-Path -Path $env:TEMP -ChildPath ('plimsoll-' + [Guid]::NewGuid().ToString('N'))
    New-Item -Path $script:Work -ItemType Directory | Out-Null
}

# TLS 1.2 and, where Windows speaks it (from build 20348 on), 1.3. Nothing older, whatever the system's default is.
function Set-Protocols {
    $protocols = [Net.SecurityProtocolType]::Tls12
    $known = [Enum]::GetNames([Net.SecurityProtocolType])
    if (($known -contains 'Tls13') -and ([Environment]::OSVersion.Version.Build -ge 20348)) {
        $protocols = $protocols -bor [Net.SecurityProtocolType]::Tls13
    }
    [Net.ServicePointManager]::SecurityProtocol = $protocols
}

# A certificate counts where its chain is whole and ends in the CA that this script carries, and in no other. It is
# compiled, since PowerShell's own blocks do not run in the threads in which .NET asks.
$TrustSource = @'
using System;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

public static class PlimsollTrust
{
    private static readonly X509Certificate2Collection Trusted = new X509Certificate2Collection();

    public static void Only(string[] certificates)
    {
        foreach (string text in certificates)
        {
            Trusted.Add(new X509Certificate2(Convert.FromBase64String(text)));
        }
        ServicePointManager.ServerCertificateValidationCallback = Check;
    }

    public static void Everything()
    {
        ServicePointManager.ServerCertificateValidationCallback =
            delegate(object sender, X509Certificate leaf, X509Chain given, SslPolicyErrors errors) { return true; };
    }

    public static bool Check(object sender, X509Certificate leaf, X509Chain given, SslPolicyErrors errors)
    {
        if (leaf == null || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None)
        {
            return false;
        }
        X509Chain chain = new X509Chain();
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.AllowUnknownCertificateAuthority;
        chain.ChainPolicy.ExtraStore.AddRange(Trusted);
        if (given != null)
        {
            foreach (X509ChainElement element in given.ChainElements)
            {
                chain.ChainPolicy.ExtraStore.Add(element.Certificate);
            }
        }
        if (!chain.Build(new X509Certificate2(leaf)))
        {
            return false;
        }
        byte[] root = chain.ChainElements[chain.ChainElements.Count - 1].Certificate.RawData;
        foreach (X509Certificate2 known in Trusted)
        {
            if (Convert.ToBase64String(known.RawData) == Convert.ToBase64String(root))
            {
                return true;
            }
        }
        return false;
    }
}
'@

function Set-Trust {
    if ($Verify -eq 'system') { return }
    Add-Type -TypeDefinition $TrustSource -Language CSharp
    if ($Verify -eq 'ca') {
        [PlimsollTrust]::Only([string[]]$ManagerCa)
        return
    }
    Write-Line 'WARNING: THE CERTIFICATE OF THE MANAGER IS NOT CHECKED, as whoever made this script wanted.'
    Write-Line 'WARNING: the package is checked by its digest, which stands in this script.'
    [PlimsollTrust]::Everything()
}

function Find-Package {
    $architecture = 'i386'
    if ([Environment]::Is64BitOperatingSystem) { $architecture = 'x86_64' }
    foreach ($row in $Packages) {
        $parts = $row.Split(' ')
        if ($parts[0] -eq $architecture) {
            $script:AgentVersion = $parts[1]
            $script:Sha256 = $parts[2]
            $script:Address = '{0}/software/agent/Windows/{1}/{2}/{3}' -f $ManagerUrl, $architecture, $parts[1], $parts[3]
            return
        }
    }
    Stop-Deployment 14 @(
        "The manager has no agent package for Windows $architecture; nothing was done.",
        'Import one on the manager (plimsoll software import), and make a new script.')
}

function Get-WebProblem($Problem) {
    while ($Problem -and -not ($Problem -is [Net.WebException])) { $Problem = $Problem.InnerException }
    return $Problem
}

function Get-Package {
    $file = Join-Path -Path $script:Work -ChildPath 'agent.msi'
    $system = Get-WmiObject -Class Win32_OperatingSystem
    $query = '?tenantID=&windowsVersion={0}&windowsProductType={1}' -f $system.Version, $system.ProductType
    $client = New-Object -TypeName Net.WebClient
    $client.Headers.Add('Agent-Version-Control', 'on')
    Write-Line "Download of agent $AgentVersion begins: $Address"
    try {
        $client.DownloadFile($Address + $query, $file)
    } catch {
        $problem = Get-WebProblem $_.Exception
        if (-not $problem) {
            Stop-Deployment 29 @("The download failed: $($_.Exception.Message); nothing was installed.")
        }
        Stop-Download $problem
    } finally {
        $client.Dispose()
    }
    Write-Line ('Download ended: {0} bytes' -f (Get-Item -LiteralPath $file).Length)
    return $file
}

function Stop-Download($Problem) {
    $kept = 'nothing was installed.'
    $status = $Problem.Status.ToString()
    switch ($status) {
        'TrustFailure' {
            Stop-Deployment 20 @(
                "The certificate of the manager was not accepted ($($Problem.Message)); $kept",
                'Was this script made by this manager, for this name? Is the clock right? Else make a new script.')
        }
        'SecureChannelFailure' {
            Stop-Deployment 21 @(
                "The TLS handshake was refused ($($Problem.Message)); $kept",
                "The manager accepts $Floor and newer. Update Windows and .NET so that they speak it, or use the workaround: plimsoll deploy-script windows --workaround windows")
        }
        'NameResolutionFailure' {
            Stop-Deployment 23 @("The name in $ManagerUrl is not known to this computer; $kept", 'Correct its DNS, or make a script with another name: --manager NAME')
        }
        'ConnectFailure' {
            Stop-Deployment 24 @("There is no way to $ManagerUrl ($($Problem.Message)); $kept", 'Is the manager running? Does a firewall let this computer reach that port?')
        }
        'Timeout' {
            Stop-Deployment 25 @("$ManagerUrl did not answer in time; $kept", 'Run this script again.')
        }
        'ProtocolError' {
            Stop-Answer $Problem.Response
        }
    }
    Stop-Deployment 29 @("The download failed ($status): $($Problem.Message); $kept")
}

function Stop-Answer($Response) {
    $kept = 'nothing was installed.'
    $number = [int]$Response.StatusCode
    $reader = New-Object -TypeName IO.StreamReader -ArgumentList $Response.GetResponseStream()
    $said = $reader.ReadToEnd()
    $reader.Dispose()
    switch ($number) {
        404 { Stop-Deployment 26 @("The manager has this script's package no longer (HTTP 404); $kept", $said, 'Make a new script on the manager and run that.') }
        409 { Stop-Deployment 27 @("The manager would not accept this agent, so it was not downloaded; $kept", $said) }
        429 { Stop-Deployment 28 @("The manager is busy (HTTP 429); $kept", 'Run this script again in some minutes.') }
        503 { Stop-Deployment 28 @("The manager is busy (HTTP 503); $kept", 'Run this script again in some minutes.') }
    }
    Stop-Deployment 29 @("The manager answered with HTTP $number; $kept", $said)
}

function Test-Package([string]$File) {
    $found = (Get-FileHash -LiteralPath $File -Algorithm SHA256).Hash
    if ($found -ne $Sha256) {
        Stop-Deployment 31 @(
            'The package is not the one that this script was made for; it was deleted, and nothing was installed.',
            "Its SHA-256 is $found, expected is $Sha256.",
            'It was damaged or changed on the way, or on the manager: tell its administrator.')
    }
    Write-Line 'The package is the one that this script was made for (SHA-256).'
}

function Install-Package([string]$File) {
    $log = Join-Path -Path $script:Logs -ChildPath 'dsa_install.log'
    Write-Line 'Installation begins'
    $arguments = '/i "{0}" /qn /norestart ADDLOCAL=ALL /l*v "{1}"' -f $File, $log
    $installer = Start-Process -FilePath msiexec.exe -ArgumentList $arguments -Wait -PassThru
    Write-Line "Installation ended with exit code $($installer.ExitCode)"
    # 1641 and 3010: installed, and Windows wants to be started anew.
    if (@(0, 1641, 3010) -notcontains $installer.ExitCode) {
        Stop-Deployment 40 @("msiexec could not install the package; $log says why.")
    }
}

try {
    Start-Log
    Set-Protocols
    Set-Trust
    Find-Package
    $file = Get-Package
    Test-Package $file
    Install-Package $file
    Invoke-Activation
} catch {
    Stop-Deployment 90 @("This script failed: $($_.Exception.Message)", "It was at: $($_.InvocationInfo.PositionMessage)")
}
Stop-Deployment 0 @('Done.')
